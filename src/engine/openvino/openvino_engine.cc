// SPDX-License-Identifier: Apache-2.0
// The CPU engine. The model is compiled once, for one picture: static shapes let OpenVINO plan
// memory and choose kernels ahead, and a batch is that many requests side by side on its streams.
// Measured on 2 cores against one model with a bounded dynamic batch: osnet at batch 8 512 to 420
// pictures a second, yolo11n alike; and no picture's answer depends on its batch.
#include "engine/openvino/openvino_engine.h"

#include <algorithm>
#include <new>

#include <fmt/format.h>
#include <openvino/runtime/core.hpp>
#include <openvino/runtime/properties.hpp>

#include "core/machine.h"
#include "engine/bindings.h"
#include "engine/openvino/openvino_model.h"
#include "peregrine/error.h"

namespace peregrine::engine {
namespace {

struct Port {
  TensorSpec spec;
  ov::element::Type element;
  ov::Shape shape;    // of one picture, batch 1 included
  std::size_t bytes;  // of one picture
};

std::vector<Port> describe(const std::vector<ov::Output<const ov::Node>>& ports,
                           const std::string& path) {
  std::vector<Port> described;
  for (const auto& port : ports) {
    Port each;
    each.element = port.get_element_type();
    each.shape = port.get_shape();
    each.spec.name =
        port.get_names().empty() ? fmt::format("{}", described.size()) : port.get_any_name();
    each.spec.dtype = dtype_from(each.element, path);
    each.spec.shape.assign(each.shape.begin(), each.shape.end());
    each.bytes = byte_size(each.spec.dtype, each.spec.shape);
    each.spec.shape[0] = -1;
    described.push_back(std::move(each));
  }
  return described;
}

std::vector<TensorSpec> specs_of(const std::vector<Port>& ports) {
  std::vector<TensorSpec> specs;
  for (const Port& port : ports) specs.push_back(port.spec);
  return specs;
}

// What an engine and its contexts share.
struct Loaded {
  std::string path;
  std::vector<Port> inputs, outputs;
  std::vector<TensorSpec> input_specs, output_specs;
  int max_batch = 1;
  ov::CompiledModel compiled;
};

// One picture's request, and the memory it is bound to: binding anew costs more than comparing.
struct Request {
  ov::InferRequest request;
  std::vector<void*> inputs, outputs;
};

class OpenVinoContext final : public ExecutionContext {
 public:
  explicit OpenVinoContext(std::shared_ptr<Loaded> loaded) : loaded_(std::move(loaded)) {
    requests_.resize(static_cast<std::size_t>(loaded_->max_batch));
    for (Request& each : requests_) {
      each.request = loaded_->compiled.create_infer_request();
      each.inputs.resize(loaded_->inputs.size());
      each.outputs.resize(loaded_->outputs.size());
    }
  }
  // The caller's memory may go right after: nothing may still be written there.
  ~OpenVinoContext() override { drain(); }

  void enqueue(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int batch,
               StreamHandle) override {
    if (in_flight_ > 0) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("model '{}': enqueue before wait; use one context for each batch in "
                              "flight",
                              loaded_->path));
    }
    check_bindings(loaded_->path, "input", loaded_->input_specs, inputs, batch, loaded_->max_batch);
    check_bindings(loaded_->path, "output", loaded_->output_specs, outputs, batch,
                   loaded_->max_batch);
    try {
      for (int item = 0; item < batch; ++item) {
        Request& each = requests_[static_cast<std::size_t>(item)];
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          bind(each.inputs[i], loaded_->inputs[i], inputs[i], item,
               [&](const ov::Tensor& tensor) { each.request.set_input_tensor(i, tensor); });
        }
        for (std::size_t i = 0; i < outputs.size(); ++i) {
          bind(each.outputs[i], loaded_->outputs[i], outputs[i], item,
               [&](const ov::Tensor& tensor) { each.request.set_output_tensor(i, tensor); });
        }
        each.request.start_async();
        ++in_flight_;
      }
    } catch (const std::exception& error) {
      drain();
      throw failure(openvino_reason(error));
    }
  }

  void wait() override {
    const std::string problem = drain();
    if (!problem.empty()) throw failure(problem);
  }

 private:
  template <typename Set>
  void bind(void*& bound, const Port& port, const TensorView& view, int item, Set&& set) {
    void* memory = static_cast<char*>(view.data) + static_cast<std::size_t>(item) * port.bytes;
    if (memory == bound) return;
    bound = nullptr;  // stays so if setting fails
    set(ov::Tensor(port.element, port.shape, memory));
    bound = memory;
  }

  // Waits for everything that was started; the first failure's text, or "".
  std::string drain() noexcept {
    std::string problem;
    for (int item = 0; item < in_flight_; ++item) {
      try {
        requests_[static_cast<std::size_t>(item)].request.wait();
      } catch (const std::exception& error) {
        if (problem.empty()) problem = openvino_reason(error);
      }
    }
    in_flight_ = 0;
    return problem;
  }

  Error failure(const std::string& reason) const {
    return Error(ErrorCode::kEngine, fmt::format("model '{}' failed while running on the CPU: {}",
                                                 loaded_->path, reason));
  }

  std::shared_ptr<Loaded> loaded_;
  std::vector<Request> requests_;  // one a picture of a batch
  int in_flight_ = 0;              // the first so many requests are running
};

class OpenVinoEngine final : public Engine {
 public:
  OpenVinoEngine(std::shared_ptr<Loaded> loaded, int streams)
      : loaded_(std::move(loaded)), streams_(streams) {}

  const std::vector<TensorSpec>& inputs() const override { return loaded_->input_specs; }
  const std::vector<TensorSpec>& outputs() const override { return loaded_->output_specs; }
  int max_batch() const override { return loaded_->max_batch; }
  Device device() const override { return Device::cpu(); }
  std::string description() const override {
    return fmt::format("OpenVINO {} (CPU, FP32)", openvino_version());
  }
  // Enough pictures in flight for every stream, and with batches one more, so that streams do not
  // run dry while a finished batch is taken away.
  int recommended_contexts() const override {
    const int batches = (streams_ + loaded_->max_batch - 1) / loaded_->max_batch;
    return std::min(streams_, batches + 1);
  }
  std::unique_ptr<ExecutionContext> create_context() const override {
    return std::make_unique<OpenVinoContext>(loaded_);
  }

 private:
  std::shared_ptr<Loaded> loaded_;
  int streams_;
};

// One for the process, never destroyed: its plugins' threads may outlive static destructors.
ov::Core& core() {
  static ov::Core& shared = *new ov::Core;
  return shared;
}

ov::CompiledModel compile(const std::shared_ptr<ov::Model>& model, const std::string& path,
                          const OpenVinoOptions& options) {
  const ov::AnyMap properties = {
      ov::hint::inference_precision(ov::element::f32),
      ov::hint::performance_mode(options.latency ? ov::hint::PerformanceMode::LATENCY
                                                 : ov::hint::PerformanceMode::THROUGHPUT),
      // OpenVINO itself overlooks a container's CPU quota.
      ov::inference_num_threads(options.threads > 0 ? options.threads : usable_cores()),
  };
  try {
    return core().compile_model(model, "CPU", properties);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("the host has too little memory to compile model '{}'", path));
  } catch (const std::exception& error) {
    throw Error(
        ErrorCode::kModelUnsupported,
        fmt::format("model '{}' does not compile for the CPU: {}", path, openvino_reason(error)));
  }
}

}  // namespace

std::unique_ptr<Engine> make_openvino_engine(const std::string& path,
                                             const OpenVinoOptions& options) {
  if (options.max_batch < 1 || options.threads < 0 || options.input_height < 0 ||
      options.input_width < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("engine options for '{}': batch {} (at least 1), threads {}, input "
                            "{}x{} (at least 0)",
                            path, options.max_batch, options.threads, options.input_width,
                            options.input_height));
  }
  auto loaded = std::make_shared<Loaded>();
  loaded->path = path;
  loaded->max_batch = options.max_batch;
  loaded->compiled = compile(specialise(read_onnx(path), path, options), path, options);
  loaded->inputs = describe(std::as_const(loaded->compiled).inputs(), path);
  loaded->outputs = describe(std::as_const(loaded->compiled).outputs(), path);
  loaded->input_specs = specs_of(loaded->inputs);
  loaded->output_specs = specs_of(loaded->outputs);
  const auto streams = loaded->compiled.get_property(ov::optimal_number_of_infer_requests);
  return std::make_unique<OpenVinoEngine>(std::move(loaded),
                                          std::max(1, static_cast<int>(streams)));
}

std::string openvino_version() {
  const std::string build = ov::get_openvino_version().buildNumber;  // "2026.4.1-21919-..."
  return build.substr(0, build.find('-'));
}

std::vector<std::string> openvino_devices() {
  try {
    return core().get_available_devices();
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kEngine,
                fmt::format("OpenVINO does not start: {}", openvino_reason(error)));
  }
}

}  // namespace peregrine::engine
