// SPDX-License-Identifier: Apache-2.0
// DETR and its family: class logits and boxes of a set of queries, in two outputs.
#include <fmt/format.h>

#include "vision/coco_labels.h"
#include "vision/identification.h"

namespace peregrine::vision {
namespace {

struct Outputs {
  int scores = -1, boxes = -1;
};

int named_one_of(const Identification& id, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const int output = id.output_named(name);
    if (output >= 0 && id.shape_of(output).size() == 3) return output;
  }
  return -1;
}

// Exports name them, or there are two of as many queries, of which one has the four of a box.
Outputs find_outputs(const Identification& id) {
  Outputs found{named_one_of(id, {"logits", "pred_logits", "scores", "labels"}),
                named_one_of(id, {"pred_boxes", "boxes", "dets"})};
  if (found.scores >= 0 && found.boxes >= 0) return found;
  found = {};
  int rank_three = 0;
  for (int i = 0; i < static_cast<int>(id.model.outputs.size()); ++i) {
    const Shape& shape = id.shape_of(i);
    if (shape.size() != 3) continue;
    ++rank_three;
    (shape[2] == 4 ? found.boxes : found.scores) = i;
  }
  if (rank_three < 2 || found.boxes < 0) return {};
  if (rank_three > 2 || found.scores < 0) {
    id.refuse(
        "it looks like DETR, but which output holds class logits and which boxes is not clear; "
        "name them 'logits' and 'pred_boxes' in the export");
  }
  return found;
}

// RT-DETR's own export: what the post-processor kept, class numbers as integers, no logits.
void refuse_processed(const Identification& id) {
  const int labels = id.output_named("labels"), boxes = id.output_named("boxes"),
            scores = id.output_named("scores");
  if (labels < 0 || boxes < 0 || scores < 0) return;
  id.refuse(
      "its outputs labels, boxes and scores are of RT-DETR's post-processor, which needs the "
      "source's size; export it without the post-processor (outputs logits and boxes), or with "
      "Ultralytics");
}

// Whether the last of `columns` logits means "no object" is not in the file: what is known of the
// classes tells.
void choose_scores(Identification& id, std::int64_t columns) {
  TaskSpec& spec = id.spec;
  const std::int64_t named = std::ssize(id.names);
  const auto choose = [&](Head head, std::string why) {
    spec.head = head;
    spec.class_count = static_cast<int>(head == Head::kDetr ? columns - 1 : columns);
    spec.reason += why;
  };
  if (named > 0 && (columns == named + 1 || columns == named)) {
    choose(
        columns == named ? Head::kDetrSigmoid : Head::kDetr,
        fmt::format("; {} logits for the {} classes that {} names", columns, named, id.names_from));
  } else if (named > 0) {
    id.refuse(
        fmt::format("it has {} logits a query: {} classes and 'no object', or {} classes, but {} "
                    "names {}; supply the right names with --labels FILE",
                    columns, columns - 1, columns, id.names_from, named));
  } else if (columns == kCocoSlots + 1) {
    choose(Head::kDetr, "; 92 logits are COCO's 91 numbers and 'no object'");
  } else if (columns == kCocoSlots) {
    choose(Head::kDetrSigmoid, "; 91 logits are COCO's numbers, a sigmoid each");
  } else if (columns == 80) {
    choose(Head::kDetrSigmoid, "; 80 logits are COCO's classes in a row, as RT-DETR has");
  } else {
    id.refuse(
        fmt::format("it looks like DETR with {} logits a query, the last of which may mean 'no "
                    "object'; supply the names of its classes with --labels FILE",
                    columns));
  }
  if (id.names.empty() && columns != 80) id.names = coco_labels();
}

}  // namespace

// The picture is stretched to the input, as RT-DETR was trained: without a mask input, a border
// would be part of the picture to the network's attention. (DETR itself was trained on the aspect
// kept, with a mask.)
bool identify_detr(Identification& id) {
  if (id.wanted && id.wanted != Task::kDetect && id.wanted != Task::kSegment) return false;
  refuse_processed(id);
  const auto [scores, boxes] = find_outputs(id);
  if (scores < 0 || boxes < 0) return false;
  if (id.wanted == Task::kSegment) {
    id.refuse(id.said_by() + " says segment, but masks of DETR are not decoded; say --task detect");
  }
  const Shape &logits = id.shape_of(scores), &places = id.shape_of(boxes);
  const bool known = logits[1] > 0 && logits[2] > 0 && places[1] > 0 && places[2] > 0;
  if (known && (logits[1] != places[1] || places[2] != 4)) {
    id.refuse(
        fmt::format("class logits {} and boxes {} are not of the same queries, [batch, queries, "
                    "classes] and [batch, queries, 4]",
                    to_string(logits), to_string(places)));
  }
  if (logits[2] <= 0) {
    id.refuse(
        "how many classes its logits are for is not in the file; run it through "
        "shape inference first");
  }
  TaskSpec& spec = id.spec;
  spec.task = Task::kDetect;
  spec.scores_output = scores;
  spec.boxes_output = boxes;
  spec.input.fit = InputSpec::Fit::kStretch;
  spec.reason = "class logits and boxes apart, as DETR has";
  choose_scores(id, logits[2]);
  // RT-DETR and its like take plain RGB / 255; Deformable DETR and RF-DETR keep DETR's statistics,
  // and COCO's 91 numbers.
  if (spec.head == Head::kDetr || logits[2] == kCocoSlots) {
    normalize_input(spec.input, Normalization::kImageNet);
  }
  return true;
}

}  // namespace peregrine::vision
