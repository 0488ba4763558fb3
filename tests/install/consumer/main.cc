// SPDX-License-Identifier: Apache-2.0
// A program outside the repository: finds, links and uses the installed library.
#include <atomic>
#include <cstdio>

#include <peregrine/engine.h>
#include <peregrine/run.h>
#include <peregrine/task.h>
#include <peregrine/version.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::atomic<int> objects{0};
  peregrine::RunRequest request;
  request.sources = {argv[1]};
  request.models = {argv[2]};
  request.settings = {{"inference.confidence", "0.5"}, {"tracking.enabled", "true"}};
  request.on_result = [&](const peregrine::FrameResult& result) {
    objects += static_cast<int>(result.detections.size());
  };
  try {
    peregrine::Run run(request);
    const peregrine::RunReport report = run.wait();
    std::printf("%s %s %lld frames %d objects exit %d\n", peregrine::version(), run.labels().at(0).c_str(),
                static_cast<long long>(report.frames), objects.load(), report.exit_code);
  } catch (const peregrine::Error& error) {
    std::printf("%s: %s\n", peregrine::to_string(error.code()), error.what());
    return peregrine::exit_code(error.code());
  }
  return 0;
}
