// SPDX-License-Identifier: Apache-2.0
#include "eval/truth_files.h"

#include "output/coco_rle.h"
#include "output/output_file.h"
#include "output/text.h"

namespace peregrine::eval {
namespace {

using output::append_decimal;
using output::append_integer;
using synth::SynthObject;
using synth::SynthTruth;

const std::string& label_of(const SynthObject& object) {
  return synth::coco_labels()[static_cast<std::size_t>(object.class_id)];
}

void append_numbers(std::string& line, std::initializer_list<double> values, int decimals) {
  bool first = true;
  for (double value : values) {
    if (!first) line += ',';
    append_decimal(line, value, decimals);
    first = false;
  }
}

/// A file that grows under another name until it is complete.
class GrowingFile {
 public:
  explicit GrowingFile(const std::string& path)
      : path_(path), partial_(output::partial_path(path)), file_(partial_) {}
  void write(std::string_view text) { file_.write(text); }
  void finish() {
    file_.close();
    output::rename_into_place(partial_, path_);
  }

 private:
  std::string path_, partial_;
  output::OutputFile file_;
};

class JsonlTruth final : public TruthFile {
 public:
  JsonlTruth(const std::string& path, const std::string& source) : file_(path) {
    output::append_json_string(source_, source);
  }

  void write(const SynthTruth& truth) override {
    line_ = R"({"schema":1,"source":)" + source_ + R"(,"stream":0,"frame":)";
    append_integer(line_, truth.frame.index);
    line_ += R"(,"pts":)";
    output::append_seconds(line_, truth.frame.pts, truth.frame.time_base);
    line_ += R"(,"width":)";
    append_integer(line_, truth.frame.width);
    line_ += R"(,"height":)";
    append_integer(line_, truth.frame.height);
    line_ += R"(,"detections":[)";
    for (const SynthObject& object : truth.objects) {
      if (line_.back() == '}') line_ += ',';
      append_object(object);
    }
    line_ += "]}\n";
    file_.write(line_);
  }
  void finish() override { file_.finish(); }

 private:
  void append_object(const SynthObject& o) {
    line_ += R"({"class":)";
    append_integer(line_, static_cast<int>(o.class_id));
    line_ += R"(,"label":)";
    output::append_json_string(line_, label_of(o));
    line_ += R"(,"score":1,"box":[)";
    append_numbers(line_, {o.box.x1, o.box.y1, o.box.x2, o.box.y2}, 2);
    line_ += R"(],"track":)";
    append_integer(line_, o.id);
    if (o.has_keypoints) {
      line_ += R"(,"keypoints":[)";
      for (const synth::SynthKeypoint& k : o.keypoints) {
        if (line_.back() == ']') line_ += ',';
        line_ += '[';
        append_numbers(line_, {k.x, k.y, 0.5 * static_cast<int>(k.visibility)}, 2);
        line_ += ']';
      }
      line_ += ']';
    }
    if (!o.mask.counts.empty()) {
      line_ += R"(,"mask":)";
      output::append_json_mask(line_, o.mask);
    }
    line_ += R"(,"visible":)";
    append_decimal(line_, o.visible_fraction, 3);
    line_ += R"(,"distance":)";
    append_decimal(line_, o.distance, 2);
    if (o.ignore) line_ += R"(,"ignore":true)";
    line_ += '}';
  }

  GrowingFile file_;
  std::string source_, line_;
};

class MotTruth final : public TruthFile {
 public:
  explicit MotTruth(const std::string& path) : file_(path) {}

  void write(const SynthTruth& truth) override {
    std::string lines;
    for (const SynthObject& o : truth.objects) {
      append_integer(lines, truth.frame.index + 1);
      lines += ',';
      append_integer(lines, o.id);
      lines += ',';
      append_numbers(lines, {o.box.x1 + 1, o.box.y1 + 1, o.box.width(), o.box.height()}, 2);
      lines += o.ignore ? ",0," : ",1,";
      append_integer(lines, static_cast<int>(o.class_id) + 1);
      lines += ',';
      append_decimal(lines, o.visible_fraction, 3);
      lines += '\n';
    }
    file_.write(lines);
  }
  void finish() override { file_.finish(); }

 private:
  GrowingFile file_;
};

class CocoTruth final : public TruthFile {
 public:
  explicit CocoTruth(const std::string& path) : file_(path) { file_.write("{\"annotations\":["); }

  void write(const SynthTruth& truth) override {
    std::string text;
    for (const SynthObject& object : truth.objects) {
      text += annotations_++ == 0 ? "\n" : ",\n";
      append_annotation(text, truth, object);
    }
    file_.write(text);
    images_ += images_.empty() ? "\n" : ",\n";
    images_ += R"({"id":)";
    append_integer(images_, truth.frame.index);
    images_ += R"(,"file_name":"frame )";
    append_integer(images_, truth.frame.index);
    images_ += R"(","width":)";
    append_integer(images_, truth.frame.width);
    images_ += R"(,"height":)";
    append_integer(images_, truth.frame.height);
    images_ += '}';
  }
  void finish() override {
    std::string text = "],\n\"images\":[" + images_ + "],\n\"categories\":[";
    const auto& labels = synth::coco_labels();
    for (std::size_t id = 0; id < labels.size(); ++id) {
      text += id == 0 ? "\n" : ",\n";
      text += R"({"id":)";
      append_integer(text, static_cast<std::int64_t>(id));
      text += R"(,"name":)";
      output::append_json_string(text, labels[id]);
      text += '}';
    }
    file_.write(text + "]}\n");
    file_.finish();
  }

 private:
  void append_annotation(std::string& text, const SynthTruth& truth, const SynthObject& o) {
    text += R"({"id":)";
    append_integer(text, annotations_);
    text += R"(,"image_id":)";
    append_integer(text, truth.frame.index);
    text += R"(,"category_id":)";
    append_integer(text, static_cast<int>(o.class_id));
    text += R"(,"bbox":[)";
    append_numbers(text, {o.box.x1, o.box.y1, o.box.width(), o.box.height()}, 2);
    text += R"(],"area":)";
    append_integer(text, o.area);
    text += o.ignore ? R"(,"iscrowd":1)" : R"(,"iscrowd":0)";
    text += R"(,"track_id":)";
    append_integer(text, o.id);
    if (!o.mask.counts.empty()) {
      text += R"(,"segmentation":)";
      output::append_json_mask(text, o.mask);
    }
    if (o.has_keypoints) append_keypoints(text, o);
    text += '}';
  }
  static void append_keypoints(std::string& text, const SynthObject& o) {
    int marked = 0;
    text += R"(,"keypoints":[)";
    for (const synth::SynthKeypoint& k : o.keypoints) {
      if (text.back() != '[') text += ',';
      append_numbers(text, {k.x, k.y, static_cast<double>(k.visibility)}, 2);
      marked += k.visibility != synth::Visibility::kUnmarked;
    }
    text += R"(],"num_keypoints":)";
    append_integer(text, marked);
  }

  GrowingFile file_;
  std::string images_;
  std::int64_t annotations_ = 0;
};

}  // namespace

std::unique_ptr<TruthFile> make_truth_jsonl(const std::string& path, const std::string& source) {
  return std::make_unique<JsonlTruth>(path, source);
}
std::unique_ptr<TruthFile> make_truth_mot(const std::string& path) {
  return std::make_unique<MotTruth>(path);
}
std::unique_ptr<TruthFile> make_truth_coco(const std::string& path) {
  return std::make_unique<CocoTruth>(path);
}

}  // namespace peregrine::eval
