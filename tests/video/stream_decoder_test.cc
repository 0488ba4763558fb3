// SPDX-License-Identifier: Apache-2.0
// A decoder that goes on with another connection, beside one that was opened for it.
#include "video/stream_decoder.h"

#include <fmt/format.h>

#include "video/clips.h"
#include "video/gpu_clips.h"
#include "video/media_reader.h"

namespace peregrine::testing {
namespace {

using video::AvFrame;
using video::AvPacket;
using video::MediaReader;
using video::StreamDecoder;

/// A clip's packets, as a connection gives them.
class Packets {
 public:
  explicit Packets(const std::string& path) {
    AVFormatContext* format = nullptr;
    EXPECT_EQ(avformat_open_input(&format, path.c_str(), nullptr, nullptr), 0) << path;
    format_.reset(format);
    EXPECT_GE(avformat_find_stream_info(format, nullptr), 0);
    AvPacket packet = video::make_av_packet();
    while (av_read_frame(format, packet.get()) >= 0) {
      if (packet->stream_index == 0) all_.push_back(std::exchange(packet, video::make_av_packet()));
    }
  }
  const AVStream& stream() const { return *format_->streams[0]; }
  std::size_t size() const { return all_.size(); }
  const AVPacket& operator[](std::size_t i) const { return *all_[i]; }

 private:
  video::AvFormat format_;
  std::vector<AvPacket> all_;
};

std::unique_ptr<StreamDecoder> decoder_for(const Packets& packets) {
  return std::make_unique<StreamDecoder>("clip", packets.stream(), video::SourceOptions{}, true);
}

/// The pictures that come out for packets `first` to `last`: luma of each, row by row.
std::vector<std::string> pictures(StreamDecoder& decoder, const Packets& packets, std::size_t first,
                                  std::size_t last) {
  std::vector<std::string> all;
  AvFrame frame = video::make_av_frame();
  for (std::size_t i = first; i < last; ++i) {
    EXPECT_TRUE(decoder.send(packets[i]));
    while (decoder.receive(*frame) == StreamDecoder::Outcome::kPicture) {
      std::string& rows = all.emplace_back();
      for (int y = 0; y < frame->height; ++y) {
        rows.append(reinterpret_cast<const char*>(frame->data[0] + y * frame->linesize[0]),
                    static_cast<std::size_t>(frame->width));
      }
    }
  }
  return all;
}

class LiveClip : public ::testing::TestWithParam<const char*> {};

// Cut in the middle of a group, joined again in the middle of another.
TEST_P(LiveClip, GoesOnAsANewDecoderBegins) {
  PEREGRINE_GPU_CLIP(path, GetParam());
  const Packets packets(path);
  ASSERT_EQ(packets.size(), 30U);
  const auto decoder = decoder_for(packets);
  const auto whole = pictures(*decoder, packets, 0, 30);
  ASSERT_EQ(whole.size(), 30U);

  for (const std::size_t cut : {7U, 12U, 13U}) {
    for (const std::size_t joined : {0U, 5U, 12U, 17U}) {
      SCOPED_TRACE(fmt::format("cut before {}, joined at {}", cut, joined));
      const auto kept = decoder_for(packets);
      EXPECT_EQ(pictures(*kept, packets, 0, cut).size(), cut);
      ASSERT_TRUE(kept->may_go_on());
      ASSERT_TRUE(kept->go_on_with(packets.stream()));
      EXPECT_FALSE(kept->may_go_on()) << "nothing has come out yet";
      const std::size_t key = (joined + 11) / 12 * 12;
      const auto rest = pictures(*kept, packets, joined, 30);
      EXPECT_TRUE(rest ==
                  std::vector(whole.begin() + static_cast<std::ptrdiff_t>(key), whole.end()))
          << rest.size() << " pictures";
      EXPECT_TRUE(kept->may_go_on());
    }
  }
}

// The way a live source goes: the reader of a lost connection leaves its decoder to the next one.
TEST_P(LiveClip, ReadersPassItOn) {
  PEREGRINE_GPU_CLIP(path, GetParam());
  video::Watch watch;
  const auto connect = [&](std::unique_ptr<StreamDecoder>* kept) {
    return std::make_unique<MediaReader>("clip", path, video::Access::kLive, video::SourceOptions{},
                                         watch, kept);
  };
  auto first = connect(nullptr);
  int frames = 0;
  while (first->read()) ++frames;
  EXPECT_EQ(frames, 30);
  EXPECT_EQ(first->ending(), MediaReader::Ending::kEnd);
  EXPECT_EQ(first->read(), nullptr);
  auto kept = first->give_up_decoder();
  const StreamDecoder* const decoder = kept.get();
  ASSERT_NE(decoder, nullptr);
  first.reset();

  const auto second = connect(&kept);
  EXPECT_EQ(&second->decoder(), decoder);
  EXPECT_EQ(kept, nullptr);
  while (second->read()) --frames;
  EXPECT_EQ(frames, 0);
  EXPECT_EQ(second->corrupt_packets(), 0);
}

INSTANTIATE_TEST_SUITE_P(Codecs, LiveClip, ::testing::Values("h264-live.ts", "hevc-live.ts"),
                         [](const auto& test) { return std::string(test.param, 4); });

TEST(StreamDecoder, OneWithPicturesInsideIsNotPassedOn) {
  PEREGRINE_GPU_CLIP(folder, "");
  for (const char* name : {"h264.mp4", "hevc.mp4"}) {
    SCOPED_TRACE(name);
    const Packets packets(folder + name);
    const auto decoder = decoder_for(packets);
    EXPECT_FALSE(decoder->may_go_on());
    EXPECT_LT(pictures(*decoder, packets, 0, 9).size(), 9U);
    EXPECT_FALSE(decoder->may_go_on());
  }
}

TEST(StreamDecoder, AnotherStreamGetsItsOwn) {
  PEREGRINE_NEEDS_FFMPEG();
  PEREGRINE_GPU_CLIP(path, "h264-live.ts");
  const TemporaryFolder folder;
  const std::string source =
      "-f lavfi -i testsrc2=s={}:r=25 -frames:v 12 -c:v {} '" + folder / "{}'";
  ffmpeg(fmt::format(fmt::runtime(source), "192x180", "libx264 -bf 0", "narrow.ts"));
  ffmpeg(
      fmt::format(fmt::runtime(source), "320x180", "libx264 -bf 0 -profile:v baseline", "set.ts"));
  ffmpeg(fmt::format(fmt::runtime(source), "320x180", "mpeg2video -bf 0", "codec.ts"));
  const Packets packets(path);
  const auto decoder = decoder_for(packets);
  EXPECT_FALSE(pictures(*decoder, packets, 0, 12).empty());
  for (const char* name : {"narrow.ts", "set.ts", "codec.ts"}) {
    EXPECT_FALSE(decoder->go_on_with(Packets(folder / name).stream())) << name;
  }
  EXPECT_TRUE(decoder->may_go_on());
  EXPECT_TRUE(decoder->go_on_with(packets.stream()));
}

// After its first picture it never sends a whole one again.
TEST(StreamDecoder, ACameraThatRefreshesBitByBitIsNotWaitedForForEver) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = folder / "refresh.ts";
  ffmpeg(
      "-f lavfi -i testsrc2=s=96x96:r=25 -frames:v 400 -c:v libx264 -bf 0 -g 20 "
      "-x264-params intra-refresh=1 '" +
      path + "'");
  const Packets packets(path);
  ASSERT_EQ(packets.size(), 400U);
  const auto decoder = decoder_for(packets);
  const auto whole = pictures(*decoder, packets, 0, 400);
  ASSERT_EQ(whole.size(), 400U);
  ASSERT_TRUE(decoder->go_on_with(packets.stream()));
  EXPECT_TRUE(pictures(*decoder, packets, 1, 301).empty());
  const auto rest = pictures(*decoder, packets, 301, 400);
  ASSERT_GT(rest.size(), 50U);
  EXPECT_EQ(rest.back(), whole.back());
}

TEST(RefreshesDecoder, ReadsTheFirstSlice) {
  struct Case {
    AVCodecID codec;
    std::vector<std::uint8_t> bytes;
    bool refreshes;
  };
  const auto avc = AV_CODEC_ID_H264, hevc = AV_CODEC_ID_HEVC;
  const Case cases[] = {
      {avc, {0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 9, 0, 0, 1, 0x65, 9}, true},  // sets, IDR
      {avc, {0, 0, 1, 0x06, 5, 0, 0, 1, 0x41, 9, 0, 0, 1, 0x65, 9}, false},    // SEI, a P slice
      {avc, {0, 0, 1, 0x09, 16}, false},                                       // no slice
      {avc, {0, 0, 1}, false},
      {avc, {}, false},
      {hevc, {0, 0, 1, 0x40, 1, 0, 0, 1, 0x26, 1}, true},   // VPS, IDR_W_RADL
      {hevc, {0, 0, 1, 0x28, 1}, true},                     // IDR_N_LP
      {hevc, {0, 0, 1, 0x20, 1}, true},                     // BLA_W_LP
      {hevc, {0, 0, 1, 0x2a, 1}, false},                    // CRA
      {hevc, {0, 0, 1, 0x02, 1, 0, 0, 1, 0x26, 1}, false},  // TRAIL_R
  };
  for (const Case& each : cases) {
    const AvPacket packet = video::make_av_packet();
    packet->data = const_cast<std::uint8_t*>(each.bytes.data());
    packet->size = static_cast<int>(each.bytes.size());
    EXPECT_EQ(video::refreshes_decoder(each.codec, *packet), each.refreshes) << &each - cases;
    EXPECT_FALSE(video::refreshes_decoder(AV_CODEC_ID_VP9, *packet));
    packet->flags = AV_PKT_FLAG_KEY;
    EXPECT_TRUE(video::refreshes_decoder(AV_CODEC_ID_VP9, *packet));
  }
}

}  // namespace
}  // namespace peregrine::testing
