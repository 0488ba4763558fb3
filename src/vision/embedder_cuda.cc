// SPDX-License-Identifier: Apache-2.0
// ReID on the GPU: one thread embeds for all streams. While it waits for a batch, the crops of
// others gather, so that many streams with a few objects each make full batches.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <cuda_runtime_api.h>

#include "core/cuda/check.h"
#include "core/cuda/device_tensors.h"
#include "core/thread_name.h"
#include "peregrine/error.h"
#include "vision/embedder.h"
#include "vision/gpu_frames.h"
#include "vision/gpu_input.h"
#include "vision/output_decoder_cuda.h"
#include "vision/picture_input.h"
#include "vision/preprocess_cuda.h"

namespace peregrine::vision {
namespace {

/// Crops to embeddings, a batch at a time; one thread's.
class CropEngine {
 public:
  CropEngine(std::shared_ptr<const Engine> engine, const TaskSpec& spec)
      : engine_(std::move(engine)),
        input_(spec.input),
        max_batch_(check_picture_input(*engine_, spec.input)),
        inputs_(engine_->inputs(), max_batch_, engine_->device()),
        outputs_(engine_->outputs(), max_batch_, engine_->device()),
        decoder_(make_gpu_output_decoder(spec, {}, engine_->outputs(), max_batch_)),
        context_(engine_->create_context()),
        stream_(cuda::make_stream()),
        done_(cuda::make_event(cuda::EventUse::kSleep)) {}
  ~CropEngine() { cudaStreamSynchronize(stream_.get()); }

  int max_batch() const { return max_batch_; }
  Device device() const { return engine_->device(); }
  StreamHandle stream() const { return stream_.get(); }

  /// Blocks. `result` of embedding i goes to `take(i, vector)`.
  template <typename Take>
  void run(std::span<const Crop> crops, const Take& take) {
    CUDA_CHECK(cudaSetDevice(device().index));
    const auto batch = static_cast<int>(crops.size());
    letterboxes_.resize(crops.size());
    const std::span<const TensorView> inputs = inputs_.views(batch);
    preprocess_crops_on_gpu(crops, input_, planar_view(inputs[0]), stream_.get());
    const std::span<const TensorView> outputs = outputs_.views(batch);
    context_->enqueue(inputs, outputs, batch, stream_.get());
    decoder_->enqueue(outputs, letterboxes_, stream_.get());
    CUDA_CHECK(cudaEventRecord(done_.get(), stream_.get()));
    CUDA_CHECK(cudaEventSynchronize(done_.get()));
    for (int i = 0; i < batch; ++i) {
      decoder_->read(i, result_);
      take(i, std::span<const float>(result_.embedding));
    }
  }

 private:
  const std::shared_ptr<const Engine> engine_;
  const InputSpec input_;
  const int max_batch_;
  cuda::DeviceTensors inputs_, outputs_;
  const std::unique_ptr<GpuOutputDecoder> decoder_;
  const std::unique_ptr<ExecutionContext> context_;
  const cuda::Stream stream_;
  const cuda::Event done_;
  std::vector<Letterbox> letterboxes_;
  FrameResult result_;
};

class EmbeddingService {
 public:
  EmbeddingService(std::shared_ptr<const Engine> engine, const TaskSpec& spec)
      : crops_(engine, spec),
        size_(embedding_size_of(engine->outputs()[static_cast<std::size_t>(spec.boxes_output)])),
        thread_([this] { work(); }) {}

  ~EmbeddingService() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  int embedding_size() const { return size_; }

  /// Blocks until every object has its embedding.
  void embed(const Frame& frame, Detections& detections, std::span<const int> objects) {
    if (objects.empty()) return;
    Request request{&frame, &detections, objects, 0, objects.size(), nullptr};
    std::unique_lock lock(mutex_);
    waiting_.push_back(&request);
    changed_.notify_all();
    changed_.wait(lock, [&] { return request.left == 0 || request.error; });
    if (request.error) std::rethrow_exception(request.error);
  }

 private:
  struct Request {
    const Frame* frame;
    Detections* detections;
    std::span<const int> objects;
    std::size_t next;  // first object that no batch has taken yet
    std::size_t left;  // objects without an embedding
    std::exception_ptr error;
  };
  struct Item {
    Request* request;
    std::size_t object;
  };

  static int embedding_size_of(const TensorSpec& output) {
    std::int64_t size = 1;
    for (std::size_t i = 1; i < output.shape.size(); ++i) size *= output.shape[i];
    return static_cast<int>(size);
  }

  void work() {
    name_thread("embed");
    std::vector<Item> batch;
    while (take(batch)) {
      std::exception_ptr error;
      try {
        run(batch);
      } catch (...) {
        error = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      for (const Item& item : batch) {
        if (error) item.request->error = error;
        --item.request->left;
      }
      if (error)
        std::erase_if(waiting_, [](const Request* each) { return each->error != nullptr; });
      changed_.notify_all();
    }
  }

  bool take(std::vector<Item>& batch) {
    batch.clear();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    while (!waiting_.empty() && std::ssize(batch) < crops_.max_batch()) {
      Request* request = waiting_.front();
      batch.push_back({request, static_cast<std::size_t>(request->objects[request->next])});
      if (++request->next == request->objects.size()) waiting_.pop_front();
    }
    return !batch.empty();
  }

  void run(const std::vector<Item>& batch) {
    CUDA_CHECK(cudaSetDevice(crops_.device().index));
    std::deque<Frame> frames;  // addresses stay
    const Request* last = nullptr;
    views_.clear();
    for (const Item& item : batch) {
      if (item.request != last) {
        frames.push_back(on_gpu(*item.request->frame, crops_.device(), crops_.stream()));
        last = item.request;
      }
      views_.push_back({&frames.back(), item.request->detections->boxes[item.object]});
    }
    crops_.run(views_, [&](int i, std::span<const float> vector) {
      const Item& item = batch[static_cast<std::size_t>(i)];
      std::copy(vector.begin(), vector.end(),
                item.request->detections->embeddings.begin() +
                    static_cast<std::ptrdiff_t>(item.object * vector.size()));
    });
  }

  CropEngine crops_;
  const int size_;
  std::vector<Crop> views_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request*> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses everything above
};

class GpuEmbedder final : public Embedder {
 public:
  explicit GpuEmbedder(std::shared_ptr<EmbeddingService> service) : service_(std::move(service)) {}
  int embedding_size() const override { return service_->embedding_size(); }
  using Embedder::embed;
  void embed(const Frame& frame, Detections& detections, std::span<const int> objects) override {
    clear_embeddings(detections, embedding_size(), objects);
    service_->embed(frame, detections, objects);
  }

 private:
  const std::shared_ptr<EmbeddingService> service_;
};

}  // namespace

std::function<std::unique_ptr<Embedder>()> make_gpu_embedders(std::shared_ptr<const Engine> engine,
                                                              const TaskSpec& spec) {
  check_embeds(spec);
  auto service = std::make_shared<EmbeddingService>(std::move(engine), spec);
  return [service] { return std::make_unique<GpuEmbedder>(service); };
}

}  // namespace peregrine::vision
