// SPDX-License-Identifier: Apache-2.0
// Plan files: what is written is read; what is damaged, cut off, hostile or of another machine is
// refused in one line.
#include "compiler/plan_file.h"

#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "compiler/fake_plan.h"
#include "compiler/plan_check.h"
#include "compiler/plan_codec.h"
#include "core/sha256.h"
#include "peregrine/error.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace peregrine::compiler {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::fake_identity;
using testing::fake_plan;

constexpr std::size_t kEntries = 24, kEntrySize = 56, kSections = 3;  // docs/plans.md
constexpr std::size_t kHeaderDigest = kEntries + kSections * kEntrySize;

class PlanFileTest : public ::testing::Test {
 protected:
  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void put(const std::string& content) const {
    std::ofstream(path_, std::ios::binary).write(content.data(), std::ssize(content));
  }
  void refuse(ErrorCode code, const std::vector<std::string>& parts) const {
    expect_error(code, parts, [this] { read_plan(path_); });
  }

  const testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "tiny.plan";
};

template <typename T>
T number_at(const std::string& file, std::size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof(value));
  return value;
}

// Makes every hash right again, so that what lies behind the hashes is reached.
std::string sealed(std::string file) {
  if (file.size() < kHeaderDigest + 32) return file;
  const auto part_of = [&file](std::size_t first, std::size_t size) {
    return std::as_bytes(std::span(file)).subspan(first, size);
  };
  for (std::size_t i = 0; i < kSections; ++i) {
    const std::size_t entry = kEntries + i * kEntrySize;
    const auto offset = number_at<std::uint64_t>(file, entry + 8);
    const auto size = number_at<std::uint64_t>(file, entry + 16);
    if (offset > file.size() || size > file.size() - offset) continue;
    std::vector<Digest> parts;
    for (std::uint64_t at = 0; at < size; at += 1 << 20) {
      parts.push_back(sha256(part_of(offset + at, std::min<std::size_t>(1 << 20, size - at))));
    }
    const Digest digest = sha256(std::as_bytes(std::span(parts)));
    std::memcpy(file.data() + entry + 24, digest.data(), digest.size());
  }
  const Digest digest = sha256(part_of(0, kHeaderDigest));
  std::memcpy(file.data() + kHeaderDigest, digest.data(), digest.size());
  return file;
}

// A plan as bytes: equal bytes, equal plans.
std::vector<std::byte> all_of(const Plan& plan) {
  std::vector<std::byte> bytes = encode_manifest(plan);
  const std::vector<std::byte> programs = encode_programs(plan.programs);
  bytes.insert(bytes.end(), programs.begin(), programs.end());
  bytes.insert(bytes.end(), plan.weights.begin(), plan.weights.end());
  return bytes;
}

TEST_F(PlanFileTest, ReadsWhatWasWritten) {
  const Plan plan = fake_plan((3 << 20) + 77);
  write_plan(plan, path_);
  const Plan read = read_plan(path_);
  EXPECT_EQ(all_of(read), all_of(plan));
  const Step& step = read.programs.at(1).steps.at(0);
  EXPECT_EQ(step.inputs[1].strides, (Shape{27, 1, 9, 3}));
  EXPECT_EQ(step.attributes.get_string("auto_pad", ""), "NOTSET");
  EXPECT_EQ(step.attributes.get_floats("scales"), (model::Floats{1, 2}));
  EXPECT_EQ(step.attributes.get_tensor("table")->as<float>()[3], 4);
  EXPECT_EQ(step.epilogue.activation, model::Op::kClip);
  EXPECT_EQ(step.epilogue.activation_attributes.get_float("beta", 0), 6);
  EXPECT_EQ(step.outputs[0].value, "y");
  EXPECT_EQ(read.metadata.at("task"), "embed");
  EXPECT_EQ(folder_.names().size(), 1U) << "a partial file was left";
}

TEST_F(PlanFileTest, SummaryLeavesTheWeightsUnread) {
  write_plan(fake_plan(5000), path_);
  std::string file = bytes();
  file.back() ^= 1;  // of the weights
  put(file);
  const PlanSummary summary = read_plan_summary(path_);
  EXPECT_EQ(summary.weights_bytes, 5000);
  EXPECT_EQ(summary.file_bytes, fs::file_size(path_));
  EXPECT_EQ(summary.plan.programs.size(), 2);
  EXPECT_TRUE(summary.plan.weights.empty());
  refuse(ErrorCode::kModelInvalid, {"the hash of its weights is wrong"});
}

TEST_F(PlanFileTest, TellsModelAndTaskLikeAnOnnxFile) {
  write_plan(fake_plan(), path_);
  EXPECT_TRUE(is_plan_file(path_));
  const ModelInfo info = read_model_or_plan_info(path_);
  EXPECT_EQ(info.path, path_);
  EXPECT_EQ(info.inputs.at(0).shape, (Shape{-1, 3, 8, 8}));
  EXPECT_EQ(info.metadata.at("task"), "embed");
  fs::copy(path_, folder_ / "other.bin");
  EXPECT_TRUE(is_plan_file(folder_ / "other.bin"));
  EXPECT_FALSE(is_plan_file(folder_ / "absent.onnx"));
}

TEST_F(PlanFileTest, RefusesInOneLineWithTheWayOut) {
  write_plan(fake_plan(), path_);
  const std::string whole = bytes();
  const std::string rebuild = "Rebuild it with: peregrine build MODEL.onnx -o " + path_;

  fs::remove(path_);
  refuse(ErrorCode::kModelInvalid, {path_, "No such file", rebuild});
  put("");
  refuse(ErrorCode::kModelInvalid, {path_, "it is not a plan", rebuild});
  put("an ONNX file, perhaps, or a photograph of one");
  refuse(ErrorCode::kModelInvalid, {"it is not a plan", rebuild});
  put(whole.substr(0, 100));
  refuse(ErrorCode::kModelInvalid, {"it is cut off after 100 bytes", rebuild});
  put(whole.substr(0, whole.size() - 1));
  refuse(ErrorCode::kModelInvalid, {"bytes instead of", rebuild});
  put(whole + "x");
  refuse(ErrorCode::kModelInvalid, {"bytes instead of", rebuild});
  std::string flipped = whole;
  flipped[40] ^= 4;
  put(flipped);
  refuse(ErrorCode::kModelInvalid, {"its header differs from its hash", rebuild});
  flipped = whole;
  flipped[number_at<std::uint64_t>(whole, kEntries + kEntrySize + 8) + 9] ^= 1;
  put(flipped);
  refuse(ErrorCode::kModelInvalid,
         {"the hash of its programs is wrong", "peregrine build tiny.onnx -o " + path_});
  std::string newer = whole;
  newer[8] = 2;
  put(newer);
  refuse(ErrorCode::kPlanMismatch, {"it has format 2", "reads format 1", rebuild});
  fs::remove(path_);
  fs::create_directory(path_);
  refuse(ErrorCode::kModelInvalid, {"it is not a regular file", rebuild});
}

TEST_F(PlanFileTest, CannotBeWrittenWhereThereIsNoFolder) {
  const std::string path = folder_ / "absent/x.plan";
  expect_error(ErrorCode::kOutput, {path, "No such file"}, [&] { write_plan(fake_plan(), path); });
}

// Each spoils one thing that the hashes would not tell: a plan made to harm.
TEST_F(PlanFileTest, ChecksEveryOperand) {
  struct Harm {
    const char* message;
    std::function<void(Plan&)> spoil;
  };
  const auto input = [](Plan& plan) -> Operand& { return plan.programs[0].steps[0].inputs[0]; };
  const auto output = [](Plan& plan) -> Operand& { return plan.programs[0].steps[0].outputs[0]; };
  const Harm harms[] = {
      {"of a region of 768", [&](Plan& p) { input(p).shape[1] = 4; }},
      {"from byte -", [&](Plan& p) { input(p).strides[3] = -1; }},
      {"of a region of 768", [&](Plan& p) { input(p).offset = 4; }},
      {"between elements", [&](Plan& p) { input(p).offset = 2; }},
      {"from byte -", [&](Plan& p) { input(p).offset = -4; }},
      {"2^63", [&](Plan& p) { input(p).strides[0] = INT64_MAX, input(p).shape[0] = 3; }},
      {"unknown dtype", [&](Plan& p) { input(p).dtype = static_cast<DType>(99); }},
      {"unknown region", [&](Plan& p) { input(p).region = static_cast<Region>(77); }},
      {"beyond the last", [&](Plan& p) { input(p).index = 1; }},
      {"beyond the last", [&](Plan& p) { input(p).index = -1; }},
      {"unknown region", [&](Plan& p) { output(p).index = 3; }},
      {"3 strides", [&](Plan& p) { input(p).strides.pop_back(); }},
      {"17 dimensions", [&](Plan& p) { input(p).shape = input(p).strides = Shape(17, 1); }},
      {"only read", [&](Plan& p) { output(p) = p.programs[0].steps[0].inputs[1]; }},
      {"only read", [&](Plan& p) { output(p) = input(p); }},
      {"of a region of 1024", [&](Plan& p) { output(p).offset = 2; }},
      {"of a region of 4096", [&](Plan& p) { p.programs[1].steps[0].inputs[1].offset = 4000; }},
      {"no kernel", [](Plan& p) { p.programs[0].steps[0].kernel.clear(); }},
      {"streams out of range", [](Plan& p) { p.programs[0].streams = 65; }},
      {"a stream beyond the last", [](Plan& p) { p.programs[0].steps[0].stream = 1; }},
      {"waits for a later one", [](Plan& p) { p.programs[0].steps[0].waits = {0}; }},
      {"below its own peak", [](Plan& p) { p.programs[0].arena_bytes = 1; }},
      {"ascending", [](Plan& p) { std::swap(p.programs[0], p.programs[1]); }},
      {"batch out of range", [](Plan& p) { p.programs[1].batch = 1 << 20; }},
      {"no program", [](Plan& p) { p.programs.clear(); }},
      {"an input of shape",
       [](Plan& p) {
         p.inputs[0].shape = {1, -1, 8, 8};
       }},
      {"no inputs", [](Plan& p) { p.outputs.clear(); }},
      {"a time", [](Plan& p) { p.programs[0].steps[0].microseconds = -1; }},
      {"residual",
       [](Plan& p) {
         p.programs[0].steps[0].epilogue.residual = static_cast<model::Epilogue::Residual>(9);
       }},
  };
  for (const Harm& harm : harms) {
    Plan plan = fake_plan();
    harm.spoil(plan);
    try {
      check_plan(plan, plan.weights.size());
      ADD_FAILURE() << "accepted: " << harm.message;
    } catch (const MalformedPlan& refused) {
      EXPECT_NE(std::string(refused.what()).find(harm.message), std::string::npos)
          << refused.what() << "\nwanted: " << harm.message;
    }
    expect_error(ErrorCode::kInternal, {"tiny.onnx"}, [&] { write_plan(plan, path_); });
  }
}

std::string mutated(const std::string& whole, std::mt19937& random) {
  std::string file = whole;
  const auto below = [&random](std::size_t limit) { return random() % limit; };
  // Manifest and programs hold what there is to get wrong; most of the file is padding and weights.
  const auto position = [&] {
    const std::size_t entry = kEntries + below(2) * kEntrySize;
    return number_at<std::uint64_t>(whole, entry + 8) +
           below(number_at<std::uint64_t>(whole, entry + 16));
  };
  for (std::size_t i = below(3) + 1; i > 0; --i) {
    const std::size_t at = below(5) == 0 ? below(file.size()) : position();
    if (at + 8 > file.size()) break;  // cut off before
    switch (below(10)) {
      case 0:
      case 1:
      case 2: file[at] ^= static_cast<char>(1U << below(8)); break;
      case 3:
      case 4: file[at] = static_cast<char>(random()); break;
      case 5:
      case 6:
      case 7: {  // a length, an offset or a dimension
        constexpr std::int64_t kExtremes[] = {
            0, -1, 1, 255, 65536, INT32_MAX, 1LL << 31, 1LL << 40, INT64_MAX, INT64_MIN};
        const std::int64_t value = kExtremes[below(std::size(kExtremes))];
        std::memcpy(file.data() + at, &value, below(2) == 0 ? 4 : 8);
        break;
      }
      case 8: file.resize(std::max<std::size_t>(1, below(file.size()))); break;
      default: {  // the table
        const std::size_t in_table = below(kHeaderDigest);
        if (in_table < file.size()) file[in_table] = static_cast<char>(random());
      }
    }
  }
  return file;
}

// An answer or an Error, quickly and without much memory; half with all hashes made right.
TEST_F(PlanFileTest, SurvivesAThousandMutations) {
  write_plan(fake_plan(), path_);
  const std::string whole = bytes();
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  int refused = 0, inner = 0;
  for (unsigned seed = 0; seed < 1000; ++seed) {
    std::mt19937 random(seed);
    std::string file = mutated(whole, random);
    if (seed % 4 != 0) {
      if (file.size() >= 24) {  // the size too, or truncation is all that is seen
        const std::uint64_t size = file.size();
        std::memcpy(file.data() + 16, &size, 8);
      }
      file = sealed(std::move(file));
    }
    put(file);
    const auto start = std::chrono::steady_clock::now();
    try {
      const Plan plan = read_plan(path_);
      EXPECT_FALSE(plan.programs.empty());
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_TRUE(error.code() == ErrorCode::kModelInvalid ||
                  error.code() == ErrorCode::kPlanMismatch)
          << message;
      EXPECT_NE(message.find("Rebuild it with: peregrine build"), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      ++refused;
      inner += message.find("inconsistent") != std::string::npos;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(took.count(), 1) << "seed " << seed;
  }
  getrusage(RUSAGE_SELF, &after);
  EXPECT_GT(refused, 500);
  EXPECT_GT(inner, 200) << "the checks behind the hashes are hardly reached";
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100 << 10) << "KiB";
}

TEST(PlanMismatch, SaysWhatDiffers) {
  const PlanIdentity plan = fake_identity();
  EXPECT_EQ(plan_mismatch(plan, fake_identity()), "");
  PlanIdentity here = fake_identity();
  here.model_name = "of no matter";
  EXPECT_EQ(plan_mismatch(plan, here), "");
  here.device_name = "NVIDIA L4";
  here.sm = 89;
  here.multiprocessors = 58;
  EXPECT_EQ(plan_mismatch(plan, here),
            "built for NVIDIA H200 (sm_90, 132 multiprocessors), this is NVIDIA L4 (sm_89, 58 "
            "multiprocessors)");
  here = fake_identity();
  here.driver_version = 13010;
  EXPECT_EQ(plan_mismatch(plan, here), "built with a driver for CUDA 13.0, this one is for 13.1");
  here = fake_identity();
  here.runtime_version = 12080;
  EXPECT_EQ(plan_mismatch(plan, here), "built with CUDA runtime 13.0, this is 12.8");
  here = fake_identity();
  here.peregrine_version = "0.2.0";
  EXPECT_EQ(plan_mismatch(plan, here), "built by Peregrine 0.1.0, this is 0.2.0");
}

TEST(PlanMismatch, TheCommandThatRebuildsKeepsTheOptions) {
  Plan plan = fake_plan();
  EXPECT_EQ(rebuild_command(plan, "a/t.plan"), "peregrine build tiny.onnx -o a/t.plan --batch 1,4");
  plan.identity.precision = "fp32";
  plan.programs.pop_back();
  EXPECT_EQ(rebuild_command(plan, "t.plan"),
            "peregrine build tiny.onnx -o t.plan --precision fp32");
}

}  // namespace
}  // namespace peregrine::compiler
