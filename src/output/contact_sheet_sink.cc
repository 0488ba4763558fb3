// SPDX-License-Identifier: Apache-2.0
// A picture to glance at: annotated frames, evenly spread over the run, in one PNG.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "output/output_file.h"
#include "output/picture_fit.h"
#include "output/png.h"
#include "output/sink.h"

namespace peregrine::output {
namespace {

constexpr std::size_t kCells = 12;
constexpr int kCellWidth = 480;

// Three to five, with the fewest cells left empty.
int columns_for(int count) {
  if (count <= 3) return count;
  const auto left_empty = [count](int columns) { return (columns - count % columns) % columns; };
  return std::min({4, 3, 5}, [&](int a, int b) { return left_empty(a) < left_empty(b); });
}

// A 4:2:0 picture of its own memory; sides are even.
struct Picture {
  Picture(int width_, int height_)
      : width(width_), height(height_), pixels(std::make_shared<std::vector<std::uint8_t>>()) {
    const auto luma = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    pixels->assign(luma, 16);
    pixels->resize(luma * 3 / 2, 128);
  }

  std::uint8_t* plane(int index) const {
    const std::size_t luma = pixels->size() / 3 * 2;
    return pixels->data() +
           (index == 0 ? 0 : luma + static_cast<std::size_t>(index - 1) * luma / 4);
  }

  // Copies `cell` to (left, top), both even.
  void paste(const Frame& cell, int left, int top) const {
    for (int p = 0; p < 3; ++p) {
      const int shift = p == 0 ? 0 : 1;
      const std::int64_t stride = width >> shift;
      const auto row_bytes =
          static_cast<std::size_t>(std::min(cell.info.width, width - left) >> shift);
      for (int y = 0; y < cell.info.height >> shift; ++y) {
        std::memcpy(plane(p) + ((top >> shift) + y) * stride + (left >> shift),
                    cell.planes[static_cast<std::size_t>(p)].data +
                        y * cell.planes[static_cast<std::size_t>(p)].stride,
                    row_bytes);
      }
    }
  }

  Frame frame(const Frame& like) const {
    Frame frame = like;
    frame.info.width = width;
    frame.info.height = height;
    frame.format = PixelFormat::kYuv420p;
    for (int p = 0; p < 3; ++p)
      frame.planes[static_cast<std::size_t>(p)] = {plane(p), width >> (p == 0 ? 0 : 1)};
    frame.storage = pixels;
    return frame;
  }

  int width, height;
  std::shared_ptr<std::vector<std::uint8_t>> pixels;
};

class ContactSheetSink final : public Sink {
 public:
  ContactSheetSink(std::string path, const AnnotateOptions& options)
      : path_(std::move(path)), annotator_(options.make_annotator(options.labels)) {
    // An unwritable place shows before anything is computed.
    OutputFile(partial_path(path_)).close();
    std::remove(partial_path(path_).c_str());
  }

  bool wants_picture() const override { return true; }
  void open_stream(const StreamInfo&) override {}

  void write(const FrameResult& result, const Frame& frame) override {
    const std::lock_guard lock(mutex_);
    if (seen_++ % stride_ != 0) return;
    const Frame drawn = annotator_->render(frame, result);
    if (!fit_) {
      const int height =
          std::max(2, kCellWidth * frame.info.height / std::max(1, frame.info.width) / 2 * 2);
      fit_ = std::make_unique<PictureFit>(Picture(kCellWidth, height).frame(drawn));
    }
    cells_.push_back(fit_->fit(drawn));
    if (cells_.size() > kCells) thin_out();
  }

  void finish() override {
    const std::lock_guard lock(mutex_);
    if (cells_.empty()) return;
    const Frame& first = cells_.front();
    const int count = static_cast<int>(cells_.size());
    const int columns = columns_for(count);
    const Picture sheet(kCellWidth * columns,
                        first.info.height * ((count + columns - 1) / columns));
    for (int i = 0; i < count; ++i) {
      sheet.paste(cells_[static_cast<std::size_t>(i)], i % columns * kCellWidth,
                  i / columns * first.info.height);
    }
    write_png(path_, sheet.frame(first));
    done_ = true;
  }
  std::vector<std::string> paths() const override {
    return done_ ? std::vector{path_} : std::vector<std::string>{};
  }

 private:
  // The length of a run is not known: when the sheet is full, every other picture goes and from
  // then on half as many come.
  void thin_out() {
    for (std::size_t i = 0; 2 * i < cells_.size(); ++i) cells_[i] = cells_[2 * i];
    cells_.resize((cells_.size() + 1) / 2);
    stride_ *= 2;
  }

  const std::string path_;
  std::mutex mutex_;
  const std::unique_ptr<Annotator> annotator_;
  std::unique_ptr<PictureFit> fit_;
  std::vector<Frame> cells_;
  std::int64_t seen_ = 0;
  std::int64_t stride_ = 1;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Sink> make_contact_sheet_sink(const std::string& path,
                                              const AnnotateOptions& options) {
  return std::make_unique<ContactSheetSink>(path, options);
}

}  // namespace peregrine::output
