// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile_graph.h"

#include "compiler/passes.h"
#include "model/shape_inference.h"

namespace peregrine::compiler {
namespace {

struct Pass {
  const char* name;
  int (*run)(model::Graph&);
  bool enabled = true;
};

}  // namespace

std::vector<PassReport> compile_graph(model::Graph& graph, const CompileOptions& options,
                                      const std::function<void(const PassReport&)>& progress) {
  // The order matters: recognising wants formulas whole, so it comes before anything is fused;
  // activations go into convolutions before residuals, then once more for those after the sum; what
  // is merged lies side by side, so it has its channels in eights before.
  const Pass passes[] = {
      {"to float32", to_float32},
      {"fold constants", model::fold_constants},
      {"remove no-ops", remove_no_ops},
      {"fold affine", fold_affine},
      {"recognise activations", recognise_activations},
      {"recognise layer norm", recognise_layer_norm},
      {"recognise attention", recognise_attention, options.attention},
      {"recognise box decoder", recognise_box_decode},
      {"fuse activation", fuse_activation},
      {"fuse residual", fuse_residual},
      {"fuse activation after residual", fuse_activation},
      {"pad channels", pad_channels},
      {"merge sibling convolutions", merge_sibling_convs, options.merge_convs},
      {"merge sibling products", merge_sibling_matmuls, options.merge_projections},
      {"remove no-ops again", remove_no_ops},
  };
  std::vector<PassReport> report;
  for (const Pass& pass : passes) {
    if (!pass.enabled) continue;
    PassReport entry{pass.name, pass.run(graph), 0};
    entry.nodes = static_cast<int>(graph.nodes().size());
    if (progress) progress(entry);
    report.push_back(std::move(entry));
  }
  return report;
}

}  // namespace peregrine::compiler
