#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A soak: many cameras that stop and come back, one `peregrine run` that must stay flat.

usage: soak.py --peregrine BIN --model M --clip VIDEO --out FOLDER [--streams 64] [--seconds 600] [--device cuda]
               [-- more arguments of `peregrine run`]

Serves the clip over RTSP (RTP in the same TCP connection) from one port of loopback a camera, in real time, looped,
time stamps going on. The clip is H.264, best without B-frames, as cameras send: an .mp4, or an elementary stream of
constant rate (--fps). Where ffmpeg is: ffmpeg -i IN -c:v libx264 -tune zerolatency -g 30 -b:v 4M -an camera.mp4

Once a --period (60 s) every camera has one outage, at a random moment of the period's first 40%:
  close   the connection is cut in the middle of a frame; the camera answers again at once
  silent  nothing is sent and nothing answered, connections stay open
  refuse  the connection is cut, and the port refuses connections
In the first period (the warm-up) and every fourth after it all cameras go in the same tenth of a second, as behind one
switch. The rest of a period is calm, so that all streams come back: memory, threads and descriptors are compared over
the calm samples. A last period that does not fit into --seconds has no outage.

Samples every second: RSS, threads, descriptors and processor time (/proc), GPU memory, latency and drops (--progress
json), frames and gaps of each stream (its JSONL). Writes FOLDER/soak.json and soak.svg every ten seconds and at the
end. Exit 0: all rules hold; 1: one line a broken rule; 2: it could not be run. Needs Python 3.8, nothing else.
"""
import argparse
import asyncio
import base64
import json
import math
import multiprocessing
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

CLOCK = 90000  # of RTP video
MIB = 1 << 20
STORM = 0.4  # of a period
KINDS = ("close", "silent", "refuse")


# --- the clip: access units of H.264 with their times ---

class Unit:
    """One access unit: NAL units without start codes, and when it is shown, in ticks of CLOCK."""

    def __init__(self, nals, ticks):
        self.nals, self.ticks = nals, ticks
        self.key = any(nal[0] & 31 == 5 for nal in nals)


class Clip:
    def __init__(self, units, sets, ticks):
        self.units, self.sets, self.ticks = units, sets, ticks  # sets: SPS and PPS; ticks: of one round
        self.keys = [i for i, unit in enumerate(units) if unit.key]
        if not self.keys or not sets:
            raise ValueError("the clip has no key frame, or no SPS and PPS")
        self.fps = len(units) * CLOCK / ticks


def boxes(data, start, end):
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        size = size or end - start
        yield kind, start + head, start + size
        start += size


def find_box(data, path, start, end):
    for kind, first, last in boxes(data, start, end):
        if kind == path[0]:
            return (first, last) if len(path) == 1 else find_box(data, path[1:], first, last)
    return None


def table(data, track, name, form):
    """Rows of a full box with a count, such as stts."""
    found = find_box(data, [b"mdia", b"minf", b"stbl", name], *track)
    if not found:
        return []
    first, count = found[0] + 8, struct.unpack_from(">I", data, found[0] + 4)[0]
    return list(struct.iter_unpack(form, data[first:first + count * struct.calcsize(form)]))


def read_mp4(data):
    moov = find_box(data, [b"moov"], 0, len(data))
    tracks = [(a, b) for kind, a, b in boxes(data, *moov) if kind == b"trak"]
    for track in tracks:
        stsd = find_box(data, [b"mdia", b"minf", b"stbl", b"stsd"], *track)
        entry = next(boxes(data, stsd[0] + 8, stsd[1]))
        if entry[0] in (b"avc1", b"avc3"):
            break
    else:
        raise ValueError("the clip holds no H.264")
    avcc, _ = find_box(data, [b"avcC"], entry[1] + 78, entry[2])
    width, at, sets = (data[avcc + 4] & 3) + 1, avcc + 5, []
    for mask in (31, 255):
        count, at = data[at] & mask, at + 1
        for _ in range(count):
            size = struct.unpack_from(">H", data, at)[0]
            sets.append(data[at + 2:at + 2 + size])
            at += 2 + size
    mdhd = find_box(data, [b"mdia", b"mdhd"], *track)[0]
    scale = struct.unpack_from(">I", data, mdhd + (20 if data[mdhd] else 12))[0]
    stsz = find_box(data, [b"mdia", b"minf", b"stbl", b"stsz"], *track)[0]
    fixed, count = struct.unpack_from(">II", data, stsz + 4)
    sizes = [fixed] * count if fixed else [s[0] for s in struct.iter_unpack(">I", data[stsz + 12:stsz + 12 + 4 * count])]
    durations = [d for n, d in table(data, track, b"stts", ">II") for _ in range(n)]
    shifts = [d for n, d in table(data, track, b"ctts", ">Ii") for _ in range(n)] or [0] * count
    chunks = [o[0] for o in table(data, track, b"stco", ">I") or table(data, track, b"co64", ">Q")]
    runs = table(data, track, b"stsc", ">III")
    units, time_now, sample = [], 0, 0
    for number, offset in enumerate(chunks, 1):
        for _ in range([per for first, per, _ in runs if first <= number][-1]):
            nals, at = [], offset
            while at < offset + sizes[sample]:
                size = int.from_bytes(data[at:at + width], "big")
                nals.append(data[at + width:at + width + size])
                at += width + size
            units.append(Unit(nals, (time_now + shifts[sample]) * CLOCK // scale))
            time_now += durations[sample]
            offset += sizes[sample]
            sample += 1
    return Clip(units, sets, time_now * CLOCK // scale)


def exp_golomb(bits, at):
    zeros = bits.index("1", at) - at
    return int(bits[at + zeros:at + 2 * zeros + 1], 2) - 1, at + 2 * zeros + 1


def read_elementary(data, fps):
    units, sets, nals, has_picture = [], [], [], False
    ticks = round(CLOCK / fps)

    def close_unit():
        if has_picture:
            units.append(Unit(list(nals), len(units) * ticks))
            nals.clear()

    for nal in re.split(b"\0\0\1", data)[1:]:
        nal = nal.rstrip(b"\0")
        kind = nal[0] & 31
        picture = kind in (1, 5)
        if has_picture and (kind in (6, 7, 8, 9) or picture and nal[1] & 128):  # first_mb_in_slice is 0
            close_unit()
            has_picture = False
        if picture:
            bits = "".join(f"{byte:08b}" for byte in nal[1:12])
            slice_type = exp_golomb(bits, exp_golomb(bits, 0)[1])[0]
            if slice_type % 5 == 1:
                raise ValueError("an elementary stream with B-frames does not say when each is shown: give an .mp4")
        has_picture = has_picture or picture
        if kind in (7, 8) and nal not in sets:
            sets.append(nal)
        nals.append(nal)
    close_unit()
    return Clip(units, sets, len(units) * ticks)


def read_clip(path, fps):
    data = pathlib.Path(path).read_bytes()
    return read_mp4(data) if data[4:8] == b"ftyp" else read_elementary(data, fps)


# --- cameras ---

RTP_BYTES = 1400


def packets_of(unit, sets):
    """The unit as interleaved RTP (RFC 6184), and where each packet's sequence number stands."""
    payloads = []
    for nal in (sets if unit.key else []) + [n for n in unit.nals if n[0] & 31 not in (7, 8, 9)]:
        if len(nal) <= RTP_BYTES:
            payloads.append(nal)
            continue
        for at in range(1, len(nal), RTP_BYTES):  # FU-A
            marks = (128 if at == 1 else 0) | (64 if at + RTP_BYTES >= len(nal) else 0)
            payloads.append(bytes([nal[0] & 0xe0 | 28, marks | nal[0] & 31]) + nal[at:at + RTP_BYTES])
    data, offsets = bytearray(), []
    for i, payload in enumerate(payloads):
        offsets.append(len(data) + 6)
        marker = 128 if i + 1 == len(payloads) else 0
        data += struct.pack(">BBHBBHII", 36, 0, len(payload) + 12, 128, marker | 96, 0, 0, 0) + payload
    return bytes(data), offsets


class Connection(asyncio.Protocol):
    """A client of one camera: RTSP requests in, RTP out."""
    BACKLOG = 4 * MIB  # a client that is so far behind loses frames up to the next key frame

    def __init__(self, camera):
        self.camera, self.received, self.playing = camera, b"", False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.camera.connections.add(self)

    def connection_lost(self, _):
        self.playing = False
        self.camera.connections.discard(self)

    def data_received(self, data):
        self.received += data
        if not self.camera.silent:
            self.answer()

    def answer(self):
        while self.received:
            if self.received[0] == 36:  # its RTCP
                size = 4 + int.from_bytes(self.received[2:4], "big")
                if len(self.received) < size:
                    return
                self.received = self.received[size:]
                continue
            head, mark, rest = self.received.partition(b"\r\n\r\n")
            if not mark:
                return
            lines = head.decode("latin-1").split("\r\n")
            fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
            self.received = rest[int(fields.get("content-length", 0)):]
            self.reply(lines[0].split(" ")[0], fields)

    def reply(self, method, fields):
        more, body = "", ""
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
        elif method == "DESCRIBE":
            sets = ",".join(base64.b64encode(s).decode() for s in self.camera.clip.sets)
            body = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=soak\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                    "c=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\na=framerate:%g\r\na=control:video\r\n"
                    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=%s\r\n" % (self.camera.clip.fps, sets))
            more = "Content-Type: application/sdp\r\nContent-Length: %d\r\n" % len(body)
        elif method == "SETUP":
            more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        self.transport.write(("RTSP/1.0 200 OK\r\nCSeq: %s\r\nSession: 1;timeout=60\r\n%s\r\n%s"
                              % (fields.get("cseq", "0"), more, body)).encode())
        if method == "PLAY":
            chance = self.camera.chance
            self.index, self.round = chance.choice(self.camera.clip.keys), 0
            self.sequence, self.base, self.source = (chance.getrandbits(n) for n in (16, 32, 32))
            self.playing, self.behind = True, False
            self.camera.report("play")
        elif method == "TEARDOWN":
            self.transport.close()

    def next_frame(self):
        clip = self.camera.clip
        unit = clip.units[self.index]
        data, offsets = self.camera.packets[self.index]
        ticks = (self.base + self.round * clip.ticks + unit.ticks) & 0xffffffff
        self.index += 1
        if self.index == len(clip.units):
            self.index, self.round = 0, self.round + 1
        self.behind = self.transport.get_write_buffer_size() > self.BACKLOG or self.behind and not unit.key
        if self.behind:
            self.camera.skipped += 1
            return b""
        data = bytearray(data)
        for offset in offsets:
            struct.pack_into(">HII", data, offset, self.sequence, ticks, self.source)
            self.sequence = (self.sequence + 1) & 0xffff
        return data


class Camera:
    def __init__(self, number, clip, packets, seed, report):
        self.number, self.clip, self.packets = number, clip, packets
        self.chance = random.Random(seed * 1000 + number)
        self.report = lambda event, **more: report({"camera": number, "event": event, "time": time.monotonic(), **more})
        self.connections, self.silent, self.skipped, self.late = set(), False, 0, 0.0
        self.socket, self.port, self.server = socket.socket(), None, None

    def bind(self, port):
        """The port stays bound while it refuses connections."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may linger
        self.socket.bind(("127.0.0.1", port))
        self.port = port

    async def listen(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Connection(self), sock=self.socket.dup())

    def refuse(self):
        self.server.close()
        self.socket.shutdown(socket.SHUT_RDWR)  # no longer listens, still bound

    async def send(self):
        due = time.monotonic() + self.chance.random() / self.clip.fps
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late = max(self.late, time.monotonic() - due)
            if not self.silent:
                for connection in self.connections:
                    if connection.playing:
                        connection.transport.write(connection.next_frame())
            due = max(due + 1 / self.clip.fps, time.monotonic() - 1)

    def cut(self):
        for connection in list(self.connections):
            if connection.playing:
                frame = connection.next_frame()
                connection.transport.write(frame[:self.chance.randrange(len(frame) + 1)])
            connection.transport.close()
            connection.playing = False

    async def outage(self, kind, seconds):
        self.report("down", kind=kind)
        if kind == "silent":
            self.silent = True
        if kind == "refuse":
            self.refuse()
        if kind != "silent":
            self.cut()
        if kind != "close":
            await asyncio.sleep(seconds)
        if kind == "refuse":
            await self.listen()
        self.silent = False
        for connection in list(self.connections):
            connection.answer()
        self.report("up")

    async def live(self, start, options):
        """One outage a period; in the first and every fourth after it all cameras together."""
        period, number = options["period"], 0
        while True:
            number += 1
            together = number % 4 == 1
            moment = self.chance.random() * (0.1 if together else STORM * period)
            kind = self.chance.choice(KINDS) if not together else KINDS[number // 4 % 3]
            seconds = self.chance.uniform(*options["outage"])
            await asyncio.sleep(max(0.0, start + (number - 1) * period + moment - time.monotonic()))
            if start + number * period > options["until"] + 1:  # its calm would be cut off
                return
            await self.outage(kind, seconds)


def serve(clip, options, pipe, soaks_end):
    """Runs in a process of its own. Sends the ports, then what happens; told when the outages begin and end."""
    soaks_end.close()  # this process has a copy, which would hide that the soak has gone
    for number in (signal.SIGINT, signal.SIGTERM):  # what stops the soak also comes here; the soak says when
        signal.signal(number, signal.SIG_IGN)
    packets = [packets_of(unit, clip.sets) for unit in clip.units]

    async def run():
        cameras = [Camera(i, clip, packets, options["seed"], pipe.send) for i in range(options["streams"])]
        port = 20000 + os.getpid() * 128 % 8192  # below the ports that outgoing connections take
        for camera in cameras:
            while camera.port is None:
                port += 1
                try:
                    camera.bind(port)
                    await camera.listen()
                except OSError:
                    if port > 30000:
                        raise
                    camera.socket, camera.port = socket.socket(), None
        pipe.send([camera.port for camera in cameras])
        tasks = [asyncio.ensure_future(camera.send()) for camera in cameras]
        while not pipe.poll():
            await asyncio.sleep(0.1)
        start, options["until"] = pipe.recv()
        tasks += [asyncio.ensure_future(camera.live(start, options)) for camera in cameras]
        while not pipe.poll():
            await asyncio.sleep(0.2)
            for task in tasks:
                if task.done() and task.exception():
                    raise task.exception()
        used = os.times()
        pipe.recv()
        pipe.send({"late_ms": round(1e3 * max(c.late for c in cameras), 1), "skipped": sum(c.skipped for c in cameras),
                   "cpu_seconds": round(used.user + used.system, 1)})

    try:
        asyncio.run(run())
    except (EOFError, BrokenPipeError):
        pass  # the soak has gone


# --- the program ---

FRAME = re.compile(rb'"stream":(\d+),(?:"frame":(\d+)|"gap":\{"from":([\d.]+),"to":([\d.]+),"reason":"([^"]*)")')


class Watched:
    """`peregrine run` with its answers and progress read as they come."""

    def __init__(self, command, streams):
        # In a session of its own: a Ctrl-C for the soak would be its first, and ours the second, which aborts.
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.frames = [0] * streams
        self.last = [None] * streams      # when the last frame of each stream came
        self.by_second = {}               # (stream, second): frames
        self.silences = []                # [stream, from, to] of a second and more
        self.gaps = []                    # [stream, time, seconds, reason]
        self.progress, self.said = {}, []
        self.readers = [threading.Thread(target=each, daemon=True) for each in (self.read_answers, self.read_progress)]
        for reader in self.readers:
            reader.start()

    def read_answers(self):
        for line in self.process.stdout:
            now, found = time.monotonic(), FRAME.search(line, 0, 4096)
            if not found:
                continue
            stream = int(found[1])
            if found[2] is None:
                self.gaps.append([stream, now, float(found[4]) - float(found[3]), found[5].decode()])
                continue
            if self.last[stream] and now - self.last[stream] > 1:
                self.silences.append([stream, self.last[stream], now])
            self.last[stream] = now
            self.frames[stream] += 1
            self.by_second[stream, int(now)] = self.by_second.get((stream, int(now)), 0) + 1

    def read_progress(self):
        for line in self.process.stderr:
            line = line.decode(errors="replace").rstrip()
            if line.startswith('{"progress"'):
                self.progress = json.loads(line)["progress"]
            else:
                self.said.append(line)

    def resources(self):
        """RSS in bytes, threads, descriptors, processor seconds. OSError when it is gone."""
        folder = "/proc/%d/" % self.process.pid
        with open(folder + "status") as status:
            fields = dict(line.split(":", 1) for line in status)
        with open(folder + "stat") as stat:
            used = stat.read().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return (int(fields["VmRSS"].split()[0]) * 1024, int(fields["Threads"]), len(os.listdir(folder + "fd")),
                (int(used[11]) + int(used[12])) / ticks)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self.readers:
            reader.join(10)


# --- the judge ---

RESOURCES = (  # key, name, share and amount that may be added, unit, its size
    ("vram", "GPU memory", 0.01, 0, "MiB", MIB),
    ("rss", "RSS", 0.01, 16 * MIB, "MiB", MIB),
    ("threads", "threads", 0, 0, "", 1),
    ("fds", "descriptors", 0, 0, "", 1),
)


def slope(xs, ys):
    """Least squares, per unit of x."""
    x, y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((a - x) ** 2 for a in xs)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / spread if spread else 0.0


def calm_samples(samples, streams, settle):
    """Those before which every stream has run for `settle` seconds."""
    calm, since = [], None
    for sample in samples:
        if sample["up"] < streams:
            since = None
        elif since is None:
            since = sample["time"]
        if since is not None and sample["time"] - since >= settle:
            calm.append(sample)
    return calm


def growth(run, key):
    """Of one resource over the calm samples behind the warm-up; None when there are too few."""
    calm = [s for s in calm_samples(run["samples"], run["streams"], run["settle"])
            if s["time"] >= run["warm_up"] and s.get(key) is not None]
    if len(calm) < 10:
        return None
    values, fifth = [s[key] for s in calm], len(calm) // 5
    first, last = statistics.median(values[:fifth]), statistics.median(values[-fifth:])
    per_second = slope([s["time"] for s in calm], values)
    return {"first": first, "last": last, "per_hour": per_second * 3600,
            "by_slope": per_second * (calm[-1]["time"] - calm[0]["time"]), "samples": len(calm)}


def patience(outage):
    """Seconds after an outage until its stream must be back: the waits between attempts double."""
    return 5 + 1.5 * (outage["up"] - outage["down"])


def judge_streams(run):
    broken = []
    healthy_frames = healthy_seconds = 0
    for stream in range(run["streams"]):
        outages = [o for o in run["outages"] if o["stream"] == stream]
        gaps = [g for g in run["gaps"] if g["stream"] == stream]
        times, away = [g["time"] for g in gaps], []
        for outage in outages:
            up = outage["up"] if outage["up"] is not None else run["ended"]
            back = next((t for t in times if t > outage["down"]), None)
            if back is not None:
                times.remove(back)
                outage["back_after"] = back - up
            away.append((outage["down"] - 1, (back or run["ended"]) + 2))
            if outage["up"] is None or run["ended"] < up + patience(outage):
                continue
            if back is None or back > up + patience(outage):
                broken.append("stream %d: %s at %.0f s, answered again from %.1f s, %s" % (
                    stream, outage["kind"], outage["down"], up,
                    "never came back" if back is None else "came back only after %.1f s more" % (back - up)))
        if len(times) > 0:
            broken.append("stream %d: %d reconnections without an outage, the first at %.0f s" % (
                stream, len(times), times[0]))
        for first, last in run["silences"][stream]:
            if not any(a < last and first < b for a, b in away):
                broken.append("stream %d: no answer for %.1f s at %.0f s, without an outage of its own" % (
                    stream, last - first, first))
        if not any(run["frames_by_second"][stream][-61:-1]):
            broken.append("stream %d: no frame in the last minute" % stream)
        for second, frames in enumerate(run["frames_by_second"][stream]):
            within = run["warm_up"] <= second <= run["ended"] - 2  # a bucket begins up to a second late
            if not within or any(a < second + 1 and second < b for a, b in away):
                continue
            healthy_frames += frames
            healthy_seconds += 1
    share = healthy_frames / (healthy_seconds * run["fps"]) if healthy_seconds else None
    run["healthy"] = {"stream_seconds": healthy_seconds, "share_of_frames": share and round(share, 4)}
    if share is not None and share < 0.98:
        broken.append("streams without an outage gave %.1f%% of their frames (98%% asked)" % (100 * share))
    return broken


def judge(run):
    """One line a broken rule. Adds its figures to `run`: `flat` by resource, `healthy`, `back_after` of outages."""
    broken, run["flat"] = [], {}
    for key, name, share, amount, unit, size in RESOURCES:
        if key == "vram" and not run["gpu"]:
            continue
        found = growth(run, key)
        if found is None:
            broken.append("%s: fewer than ten samples with all streams up after the warm-up" % name)
            continue
        found["allowed"] = max(share * found["first"], amount)
        run["flat"][key] = found
        # A count's median is exact; its slope answers to each sample that came between two changes.
        by = found["last"] - found["first"]
        if size > 1:
            by = max(by, found["by_slope"])
        if by > found["allowed"]:
            broken.append("%s grew by %.1f %s, from %.1f to %.1f (%.1f allowed; slope %.1f an hour)" % (
                name, by / size, unit, found["first"] / size, found["last"] / size, found["allowed"] / size,
                found["per_hour"] / size))
    broken += judge_streams(run)
    if run["gpu"] and run["end"].get("leak"):
        broken.append("the program says: " + run["end"]["leak"])
    if not run["complete"]:
        broken.append("cut short after %.0f s of %.0f" % (run["ended"], run["seconds"]))
    if run["end"] and run["end"]["exit_code"] != 130:
        broken.append("the program ended with %s (130 asked, after SIGINT)" % run["end"]["exit_code"])
    if run["end"] and run["end"]["summary_frames"] != run["end"]["frames"]:
        broken.append("the summary says %s frames, %d were written" % (
            run["end"]["summary_frames"], run["end"]["frames"]))
    if run["server"].get("skipped"):
        broken.append("the program did not read %d frames that cameras sent" % run["server"]["skipped"])
    return broken


# --- the chart ---

def round_up(value):
    """To a number that reads well: 1, 1.5, 2, 3, 4, 6 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 6, 8, 10) if step * power >= value * 0.999)


def chart(run):
    panels = [("vram", "GPU memory in use, GiB", 1 << 30)] if run["gpu"] else []
    panels += [("rss", "RSS, MiB", MIB), ("threads", "threads", 1), ("fds", "file descriptors", 1),
               ("fps", "frames a second", 1), ("up", "streams up", 1)]
    left, width, height, step = 70, 800, 90, 130
    samples = run["samples"]
    end = max([run["seconds"]] + [s["time"] for s in samples])
    x = lambda seconds: left + width * max(0.0, seconds) / end
    out = ["<text x='%d' y='24' font-weight='bold'>%s</text>" % (left, run["title"].replace("&", "&amp;").replace("<", "&lt;"))]
    for i, (key, name, size) in enumerate(panels):
        top = 60 + i * step
        points = [(s["time"], s[key] / size) for s in samples if s.get(key) is not None and s["time"] >= 0]
        most = round_up(1.1 * max([p[1] for p in points] + [1]))
        y = lambda value: top + height * (1 - value / most)
        out.append("<rect x='%d' y='%d' width='%.1f' height='%d' fill='#f0f0f0'/>" % (
            left, top, x(min(run["warm_up"], end)) - left, height))
        out.append("<rect x='%d' y='%d' width='%d' height='%d' fill='none' stroke='#888'/>" % (left, top, width, height))
        out.append("<text x='%d' y='%d'>%s</text>" % (left, top - 6, name))
        for value in (0, most / 2, most):
            out.append("<text x='%d' y='%.1f' text-anchor='end'>%.4g</text>" % (left - 6, y(value) + 4, value))
        flat = run.get("flat", {}).get(key)
        if flat:
            out.append("<text x='%d' y='%d' text-anchor='end'>all streams up: %.4g at first, %.4g at last</text>" % (
                left + width, top - 6, flat["first"] / size, flat["last"] / size))
            out.append("<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#c33' stroke-dasharray='6 4'/>" % (
                left, left + width, y(flat["first"] / size), y(flat["first"] / size)))
        out.append("<polyline fill='none' stroke='#1f6fb4' stroke-width='1.5' points='%s'/>" % (
            " ".join("%.1f,%.1f" % (x(t), y(v)) for t, v in points)))
    bottom = 60 + (len(panels) - 1) * step + height
    for i in range(7):
        out.append("<text x='%.1f' y='%d' text-anchor='middle'>%.0f</text>" % (x(end * i / 6), bottom + 18, end * i / 6))
    out.append("<text x='%d' y='%d' text-anchor='middle'>seconds (grey: warm-up; dashed: median of the first fifth)</text>" % (
        left + width / 2, bottom + 36))
    return ("<svg xmlns='http://www.w3.org/2000/svg' width='900' height='%d' font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n%s\n</svg>\n" % (bottom + 50, "\n".join(out)))


# --- the soak ---

def machine():
    with open("/proc/cpuinfo") as info:
        cpu = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "CPU")
    text = "%s, %d cores" % (cpu, len(os.sched_getaffinity(0)))
    try:
        gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True, timeout=30).stdout
        return ", driver ".join(gpu.splitlines()[0].split(", ")) + "; " + text
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return text


class Soak:
    def __init__(self, options, more):
        self.options, self.cut = options, False
        self.clip = read_clip(options.clip, options.fps)
        fork = multiprocessing.get_context("fork")
        self.pipe, theirs = fork.Pipe()
        plan = {"streams": options.streams, "seed": options.seed, "period": options.period, "outage": options.outage}
        self.server = fork.Process(target=serve, args=(self.clip, plan, theirs, self.pipe), daemon=True)
        self.server.start()
        theirs.close()
        urls = ["rtsp://127.0.0.1:%d/camera%d" % (port, i) for i, port in enumerate(self.pipe.recv())]
        gpu = options.device.startswith("cuda")
        command = [options.peregrine, "run", *urls, "--model", options.model, "--device", options.device, "--track",
                   "--jsonl", "-", "--progress", "json", *(["--strict-gpu"] if gpu else []), *more]
        self.program = Watched([str(c) for c in command], options.streams)
        self.samples, self.outages = [], []
        self.run = {"machine": machine(), "clip": pathlib.Path(options.clip).name, "fps": round(self.clip.fps, 3),
                    "model": pathlib.Path(options.model).name, "arguments": more, "streams": options.streams,
                    "device": options.device, "gpu": gpu, "seconds": options.seconds, "warm_up": options.warm_up,
                    "period": options.period, "outage": options.outage, "seed": options.seed,
                    "settle": options.period / 20, "complete": False, "server": {}, "end": {}}
        self.run["title"] = "%d cameras that stop and come back, %s on %s" % (
            options.streams, self.run["model"], self.run["machine"].split("; ")[0 if gpu else -1])

    def stop(self, *_):
        self.cut = True

    def whole(self):
        """The cameras' news; false when the soak cannot go on."""
        try:
            while self.pipe.poll():
                self.note(self.pipe.recv())
        except EOFError:
            raise RuntimeError("the cameras' process has ended")
        return self.program.process.poll() is None and not self.cut

    def note(self, news):
        if news["event"] == "down":
            self.outages.append({"stream": news["camera"], "kind": news["kind"], "down": news["time"], "up": None})
        elif news["event"] == "up":
            last = [o for o in self.outages if o["stream"] == news["camera"]][-1]
            last["up"] = news["time"]

    def wait_for_all(self):
        limit = time.monotonic() + self.options.start_limit
        while not all(self.program.last):
            if not self.whole() or time.monotonic() > limit:
                up = sum(1 for last in self.program.last if last)
                raise RuntimeError("%d of %d streams are up; the program said:\n  %s" % (
                    up, self.options.streams, "\n  ".join(self.program.said[-10:])))
            time.sleep(0.1)

    def sample(self):
        now, program = time.monotonic(), self.program
        rss, threads, fds, cpu = program.resources()
        progress = program.progress
        gpu, latency = progress.get("gpu", {}), progress.get("latency_ms", {})
        frames = sum(program.frames)
        before = self.samples[-1] if self.samples else None
        back = {stream: came for stream, came, _, _ in list(program.gaps)}
        away = {o["stream"] for o in self.outages if back.get(o["stream"], 0) < o["down"]}
        up = sum(1 for stream, last in enumerate(program.last) if stream not in away and now - last < 1)
        self.samples.append({
            "time": round(now - self.start, 2), "rss": rss, "threads": threads, "fds": fds, "cpu_seconds": cpu,
            "vram": gpu.get("used_bytes"), "vram_ours": gpu.get("ours_bytes"), "vram_cached": gpu.get("cached_bytes"),
            "allocations": gpu.get("allocations_when_steady"),
            "frames": frames, "dropped": progress.get("dropped_frames", 0), "gaps": len(program.gaps),
            "p50_ms": latency.get("p50"), "p95_ms": latency.get("p95"),
            "up": up,
            "fps": round((frames - before["frames"]) / (now - self.start - before["time"]), 1) if before else None})

    def write(self):
        run, start, program = self.run, self.start, self.program
        ended = (self.ended or time.monotonic()) - start
        since = lambda t: None if t is None else round(t - start, 2)
        first = int(start) + 1
        run.update(
            ended=round(ended, 2), samples=self.samples,
            outages=[{**o, "down": since(o["down"]), "up": since(o["up"])} for o in self.outages],
            gaps=[{"stream": s, "time": since(t), "seconds": round(d, 2), "reason": r} for s, t, d, r in list(program.gaps)],
            silences=[[[since(a), since(b)] for s, a, b in list(program.silences) if s == stream and a >= start]
                      for stream in range(run["streams"])],
            # Whole seconds; the first begins less than one after the start.
            frames_by_second=[[program.by_second.get((stream, first + i), 0) for i in range(int(ended))]
                              for stream in range(run["streams"])])
        run["broken"] = judge(run)
        folder = pathlib.Path(self.options.out)
        folder.mkdir(parents=True, exist_ok=True)
        # For the judge only, most of the size: what each stream gave in its last minute is kept.
        by_second = run.pop("frames_by_second")
        run["frames_in_last_minute"] = [sum(frames[-61:-1]) for frames in by_second]
        text = json.dumps(run, separators=(",", ":")).replace('},{"', '},\n{"')
        for name, content in ((self.options.name + ".json", text + "\n"), (self.options.name + ".svg", chart(run))):
            (folder / (name + ".partial")).write_text(content)
            os.replace(folder / (name + ".partial"), folder / name)

    def soak(self):
        options = self.options
        self.wait_for_all()
        self.start, self.ended = time.monotonic(), None
        end = self.start + options.seconds
        self.pipe.send((self.start, end))
        next_sample, next_write = self.start, self.start + 10
        while time.monotonic() < end and self.whole():
            try:
                self.sample()
            except (OSError, KeyError):  # the program has just gone
                return False
            if time.monotonic() >= next_write:
                self.write()
                next_write += 10
            next_sample += options.interval
            time.sleep(max(0.0, min(next_sample, end) - time.monotonic()))
        return time.monotonic() >= end

    def finish(self):
        whole = self.soak()
        self.whole()
        self.ended = time.monotonic()
        self.program.stop()
        self.pipe.send("stop")
        while True:
            news = self.pipe.recv()
            if "late_ms" in news:
                break
            self.note(news)
        self.run["server"] = news
        said = "\n".join(self.program.said)
        summary = re.search(r"^([\d,]+) frames in ", said, re.M)
        leak = re.search(r"warning: (GPU memory grew steadily.*)", said)
        allocations = re.search(r"(\d+) allocations after warm-up", said)
        self.run["end"] = {"exit_code": self.program.process.returncode, "frames": sum(self.program.frames),
                           "summary_frames": int(summary[1].replace(",", "")) if summary else None,
                           "leak": leak and leak[1], "allocations_after_warm_up": allocations and int(allocations[1]),
                           "said": [s for s in self.program.said if s][-60:]}
        self.run["complete"] = whole
        self.write()


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own = arguments[:arguments.index("--")] if "--" in arguments else arguments
    parser.add_argument("--peregrine", required=True, help="the program")
    parser.add_argument("--model", required=True)
    parser.add_argument("--clip", required=True, help="what the cameras send: H.264 in .mp4, or elementary")
    parser.add_argument("--fps", type=float, default=30, help="of an elementary stream (30)")
    parser.add_argument("--out", required=True, help="folder of soak.json and soak.svg")
    parser.add_argument("--name", default="soak", help="of the two files")
    parser.add_argument("--device", default="cuda", help="with cuda, --strict-gpu is passed, too")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600, help="from when all streams are up")
    parser.add_argument("--warm-up", type=float, default=60, help="of these, not judged; outages come in it, too")
    parser.add_argument("--period", type=float, default=60, help="one outage a camera in it")
    parser.add_argument("--outage", type=lambda t: [float(v) for v in t.split(",")], default=[4, 8],
                        help="least and most seconds; the least above --stall of the program (4,8)")
    parser.add_argument("--interval", type=float, default=1, help="between samples")
    parser.add_argument("--start-limit", type=float, default=180, help="seconds until all streams are up, building included")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(own), arguments[len(own) + 1:]


def print_report(run):
    for key, name, _, _, unit, size in RESOURCES:
        flat = run["flat"].get(key)
        if flat:
            print("%-12s %.1f -> %.1f %s (%+.1f an hour, %d samples)" % (
                name, flat["first"] / size, flat["last"] / size, unit, flat["per_hour"] / size, flat["samples"]))
    kinds = {kind: [o["back_after"] for o in run["outages"] if o["kind"] == kind and "back_after" in o] for kind in KINDS}
    print("outages      %d%s" % (len(run["outages"]), "".join(
        "; back after %s %.1f s (most %.1f)" % (k, statistics.median(v), max(v)) for k, v in kinds.items() if v)))
    last = run["samples"][-1] if run["samples"] else {}
    if run["end"]["allocations_after_warm_up"] is not None:
        print("allocations  %d on the GPU after the program's warm-up" % run["end"]["allocations_after_warm_up"])
    print("frames       %d, %s dropped; latency p95 %s ms" % (run["end"]["frames"], last.get("dropped"), last.get("p95_ms")))
    if run["healthy"]["share_of_frames"] is not None:
        print("             streams without an outage gave %.1f%% of theirs" % (100 * run["healthy"]["share_of_frames"]))
    print("cameras      at most %(late_ms)s ms late, %(cpu_seconds)s s of CPU" % run["server"])
    for line in run["broken"]:
        print("BROKEN", line)


def main():
    options, more = parse(sys.argv[1:])
    try:
        soak = Soak(options, more)
    except (OSError, ValueError) as error:
        print("soak: %s" % error, file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, soak.stop)
    try:
        soak.finish()
    except (OSError, RuntimeError) as error:
        print("soak: %s" % error, file=sys.stderr)
        return 2
    finally:
        if soak.program.process.poll() is None:
            soak.program.process.kill()
        soak.pipe.close()
        soak.server.join(5)
        soak.server.kill()
    print_report(soak.run)
    return 1 if soak.run["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
