// SPDX-License-Identifier: Apache-2.0
// Writes the hand-made plan of fake_plan.h: for tests of the program on machines without a GPU.
#include "compiler/fake_plan.h"
#include "compiler/plan_file.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  peregrine::compiler::write_plan(peregrine::testing::fake_plan(), argv[1]);
  return 0;
}
