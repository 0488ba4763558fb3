// SPDX-License-Identifier: Apache-2.0
#include "eval/validation.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/tensor_spec.h"
#include "peregrine/error.h"
#include "vision/output_decoder.h"

namespace peregrine::eval {
namespace {

void check_same_model(const Engine& candidate, const Engine& reference) {
  const auto refuse = [&](const char* side) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("{} and {} do not have the same {}: they are not of one model",
                            candidate.description(), reference.description(), side));
  };
  if (candidate.inputs().size() != reference.inputs().size()) refuse("inputs");
  if (candidate.outputs().size() != reference.outputs().size()) refuse("outputs");
}

// Answers of both engines for each picture, decoded.
class TaskComparison {
 public:
  explicit TaskComparison(const vision::TaskSpec& task)
      : actual_decoder_(vision::make_output_decoder(task, options())),
        expected_decoder_(vision::make_output_decoder(task, options())) {}

  void add(std::span<const TensorView> actual, std::span<const TensorView> expected,
           const ModelInputs& inputs) {
    for (std::size_t i = 0; i < inputs.frames().size(); ++i) {
      FrameResult a, e;
      a.frame = e.frame = inputs.frames()[i];
      actual_decoder_->decode(actual, static_cast<int>(i), inputs.letterboxes()[i], a);
      expected_decoder_->decode(expected, static_cast<int>(i), inputs.letterboxes()[i], e);
      agreement_.add(a, e);
    }
  }
  std::vector<Agreement::Measure> measures() const { return agreement_.measures(); }

 private:
  // Low enough that an object asked for (see AgreementLimits) has its partner decoded.
  static vision::DecodeOptions options() {
    vision::DecodeOptions options;
    options.confidence = 0.15f;
    return options;
  }

  std::unique_ptr<vision::OutputDecoder> actual_decoder_, expected_decoder_;
  Agreement agreement_;
};

}  // namespace

bool ValidationReport::good() const {
  return std::all_of(outputs.begin(), outputs.end(),
                     [this](const auto& each) { return each.relative_l2() <= tolerance; }) &&
         std::all_of(measures.begin(), measures.end(), [](const auto& each) { return each.good; });
}

EngineRun::EngineRun(const Engine& engine) : engine_(engine), context_(engine.create_context()) {}

std::vector<TensorView> EngineRun::operator()(std::span<const TensorView> inputs, int batch) {
  outputs_.clear();
  std::vector<TensorView> views;
  for (const TensorSpec& spec : engine_.outputs()) {
    outputs_.push_back(Tensor::zeros(spec.dtype, with_batch(spec, batch)));
  }
  for (Tensor& output : outputs_) views.push_back(output.view());
  for (int done = 0; done < batch;) {
    const int part = std::min(batch - done, engine_.max_batch());
    const auto parts = [&](std::span<const TensorView> whole) {
      std::vector<TensorView> slices;
      for (const TensorView& each : whole) slices.push_back(each.slice(done, part));
      return slices;
    };
    if (part == batch) {
      context_->enqueue(inputs, views, batch);
    } else {
      context_->enqueue(parts(inputs), parts(views), part);
    }
    context_->wait();
    done += part;
  }
  return views;
}

ValidationReport validate(const Engine& candidate, const Engine& reference, ModelInputs& inputs,
                          const std::optional<vision::TaskSpec>& task, double tolerance,
                          const std::function<void(int)>& progress) {
  check_same_model(candidate, reference);
  ValidationReport report;
  report.tolerance = tolerance;
  for (const TensorSpec& spec : candidate.outputs()) report.outputs.emplace_back(spec.name);
  std::optional<TaskComparison> answers;
  if (task && inputs.are_pictures()) answers.emplace(*task);
  EngineRun run_candidate(candidate), run_reference(reference);
  const int most = candidate.max_batch();
  const int batches[] = {1, std::min(3, most), most};
  for (std::size_t round = 0;; ++round) {
    const int batch = inputs.next(batches[round % std::size(batches)]);
    if (batch == 0) break;
    const std::vector<TensorView> given = inputs.views();
    const auto actual = run_candidate(given, batch);
    const auto expected = run_reference(given, batch);
    for (std::size_t i = 0; i < actual.size(); ++i) report.outputs[i].add(actual[i], expected[i]);
    if (answers) answers->add(actual, expected, inputs);
    report.pictures += batch;
    if (progress) progress(report.pictures);
  }
  if (answers) report.measures = answers->measures();
  return report;
}

}  // namespace peregrine::eval
