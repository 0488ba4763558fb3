// SPDX-License-Identifier: Apache-2.0
#include "vision/export_metadata.h"

#include <gtest/gtest.h>

namespace peregrine::vision {
namespace {

using Names = std::vector<std::string>;

TEST(ParseNames, PythonDictsAndLists) {
  EXPECT_EQ(parse_names("{0: 'person', 1: 'traffic light'}"), (Names{"person", "traffic light"}));
  EXPECT_EQ(parse_names(R"({0: "dog's bowl", 1: 'a \'b\' \\ c', 2: 'x:y, {z}'})"),
            (Names{"dog's bowl", "a 'b' \\ c", "x:y, {z}"}));
  EXPECT_EQ(parse_names(R"({0: 'caf\xe9', 1: '\u732b', 2: '\U0001f600', 3: '猫'})"),
            (Names{"café", "猫", "😀", "猫"}));
  EXPECT_EQ(parse_names("['a', \"b\",]"), (Names{"a", "b"}));
  EXPECT_EQ(parse_names("('a', 'b')"), (Names{"a", "b"}));
  EXPECT_EQ(parse_names(R"({"0": "a", "1": "b"})"), (Names{"a", "b"}));  // JSON
  EXPECT_EQ(parse_names("{ 2:'c' ,0:'a' , }"), (Names{"a", "class 1", "c"}));
}

TEST(ParseNames, AnythingElseIsNothing) {
  for (const char* text :
       {"", "{", "{}", "[]", "{0: 'a'", "{0: 'a}", "{0 'a'}", "{0: a}", "{'x': 'a'}", "{-1: 'a'}",
        "{0: 'a'} {", "{70000: 'a'}", "{99999999999999999999: 'a'}", R"({0: '\x4'})",
        R"({0: '\ud800'})", R"({0: '\)", "['a' 'b']", "person", "{0: 'a', 1}"}) {
    EXPECT_FALSE(parse_names(text)) << text;
  }
}

TEST(ParseIntegers, NumbersListsAndTuples) {
  EXPECT_EQ(parse_integers("640"), (std::vector<int>{640}));
  EXPECT_EQ(parse_integers("[640, 480]"), (std::vector<int>{640, 480}));
  EXPECT_EQ(parse_integers("(17, 3,)"), (std::vector<int>{17, 3}));
  for (const char* text : {"", "[640", "640]", "[a]", "[1.5]", "-3", "[1, 2] 3"}) {
    EXPECT_TRUE(parse_integers(text).empty()) << text;
  }
}

TEST(ExportMetadata, ReadsWhatExportersWrite) {
  const ExportMetadata read = read_export_metadata({{"task", "pose"},
                                                    {"names", "{0: 'person'}"},
                                                    {"imgsz", "[384, 640]"},
                                                    {"kpt_shape", "[17, 3]"},
                                                    {"end2end", "True"},
                                                    {"author", "somebody"}});
  EXPECT_EQ(read.task, "pose");
  EXPECT_EQ(read.names, Names{"person"});
  EXPECT_EQ(read.image_size, (std::vector<int>{384, 640}));
  EXPECT_EQ(read.keypoint_shape, (std::vector<int>{17, 3}));
  EXPECT_TRUE(read.end_to_end);
  EXPECT_TRUE(read_export_metadata({{"args", "{'batch': 1, 'nms': True}"}}).end_to_end);
  EXPECT_EQ(read_export_metadata({{"imgsz", "320"}}).image_size, (std::vector<int>{320, 320}));
}

TEST(ExportMetadata, AbsentAndUnreadableDiffer) {
  EXPECT_FALSE(read_export_metadata({}).names_unreadable);
  EXPECT_FALSE(read_export_metadata({}).end_to_end);
  EXPECT_TRUE(read_export_metadata({{"names", "<object at 0x7f>"}}).names_unreadable);
  EXPECT_TRUE(
      read_export_metadata({{"imgsz", "[1, 2, 3]"}, {"kpt_shape", "17"}}).image_size.empty());
}

}  // namespace
}  // namespace peregrine::vision
