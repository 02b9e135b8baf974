// The repository keeps to its layers; and the check itself sees every kind of violation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layering_check.h"

namespace pawl::layering {
namespace {
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A small tree without violations.
Tree GoodTree() {
  return {
      {"src/core/CMakeLists.txt", "pawl_library(core SOURCES a.cc)\n"},
      {"src/core/a.h", "#pragma once\n#include <vector>\n"},
      {"src/core/a.cc", "#include \"core/a.h\"\n#include \"hwy/highway.h\"\n"},
      {"kernels/CMakeLists.txt", "pawl_library(kernels SOURCES k.cc k.cu)\n"},
      {"kernels/k.h", "#include \"core/a.h\"\n"},
      {"kernels/k.cc", "#include \"kernels/k.h\"\n#include HWY_TARGET_INCLUDE\n"},
      {"kernels/k.cu", "#include \"kernels/k.h\"\n"},
      {"src/envs/e.h", ""},
      {"src/nn/CMakeLists.txt", "pawl_library(nn SOURCES\n  torch_n.cc  # the net\n  DEPS core)\n"},
      {"src/nn/n.h", ""},
      {"src/nn/torch_n.h", "#include <torch/types.h>\n"},
      {"src/nn/torch_n.cc",
       "#include <torch/torch.h>\n#include \"kernels/k.h\"\n#include \"nn/torch_n.h\"\n"},
      {"tests/nn/CMakeLists.txt", "pawl_test(nn SOURCES n_test.cc)\n"},
      {"tests/nn/n_test.cc", ""},
      {"tests/fuzz/run", "targets=(f_fuzz)\n"},
      {"tests/fuzz/f_fuzz.cc", ""},
  };
}

std::vector<std::string> With(const std::string& path, const std::string& text) {
  Tree tree = GoodTree();
  tree[path] = text;
  return Violations(tree);
}

TEST(Layering, TheRepositoryKeepsToItsLayers) {
  const Tree tree = ReadTree(PAWL_SOURCE_DIR);
  ASSERT_TRUE(tree.contains("src/core/error.h")) << "not a checkout: " << PAWL_SOURCE_DIR;
  for (const std::string& violation : Violations(tree)) ADD_FAILURE() << violation;
}

TEST(LayeringCheck, AGoodTreePasses) { EXPECT_THAT(Violations(GoodTree()), IsEmpty()); }

TEST(LayeringCheck, AnUpwardIncludeIsFound) {
  EXPECT_THAT(
      With("src/core/a.h", "\n  #  include \"nn/n.h\"\n"),
      ElementsAre("src/core/a.h:2: \"nn/n.h\": core (layer 0) may not include nn (layer 3)"));
}

TEST(LayeringCheck, AnIncludeOfTheSameLayerIsFound) {
  EXPECT_THAT(
      With("kernels/k.h", "#include \"envs/e.h\"\n"),
      ElementsAre("kernels/k.h:1: \"envs/e.h\": kernels (layer 1) may not include envs (layer 1)"));
}

TEST(LayeringCheck, TorchIsFoundWhereItMayNotBe) {
  for (const char* header : {"torch/types.h", "ATen/ATen.h", "c10/util/Half.h"}) {
    EXPECT_THAT(With("kernels/k.h", std::string("#include <") + header + ">\n"), SizeIs(1))
        << header;
  }
  EXPECT_THAT(With("src/nn/torch_n.h", "#include <torch/torch.h>\n"), SizeIs(1));
}

TEST(LayeringCheck, TorchIsFoundWhereBitsArePromised) {
  const std::string include = "#include <torch/types.h>\n";
  EXPECT_THAT(
      With("src/nn/n.h", include),
      ElementsAre("src/nn/n.h:1: <torch/types.h>: this file computes on our kernels alone"));
  EXPECT_THAT(With("src/nn/n.h", "#include \"nn/torch_n.h\"\n"), SizeIs(1));
  EXPECT_THAT(With("src/rlhf/r.h", include), SizeIs(1));
  EXPECT_THAT(With("src/nn/distribution.h", include), IsEmpty());
}

TEST(LayeringCheck, LoggingBelowTrainIsFound) {
  Tree tree = GoodTree();
  tree["src/core/log.h"] = "";
  tree["src/train/t.h"] = "#include \"core/log.h\"\n";
  EXPECT_THAT(Violations(tree), IsEmpty());
  tree["src/nn/n.h"] = "#include \"core/log.h\"\n";
  EXPECT_THAT(Violations(tree),
              ElementsAre("src/nn/n.h:1: \"core/log.h\": only train/ and cli/ log"));
}

TEST(LayeringCheck, IncludesThatLeadNowhereAreFound) {
  EXPECT_THAT(With("src/core/a.h", "#include \"b.h\"\n"), SizeIs(1));
  EXPECT_THAT(With("src/core/a.h", "#include \"core/b.h\"\n"),
              ElementsAre("src/core/a.h:1: \"core/b.h\": there is no src/core/b.h"));
  EXPECT_THAT(With("src/core/a.h", "#include \"../envs/e.h\"\n"), SizeIs(1));
}

TEST(LayeringCheck, AnUnknownFolderIsFound) {
  EXPECT_THAT(With("src/util/u.h", ""),
              ElementsAre("src/util/u.h:1: 'util' is not in the table of layers"));
}

TEST(LayeringCheck, ASourceThatNoTargetListsIsFound) {
  EXPECT_THAT(With("src/core/b.cc", ""),
              ElementsAre("src/core/b.cc:1: no CMakeLists.txt lists it"));
  EXPECT_THAT(With("kernels/b.cu", ""), SizeIs(1));
  EXPECT_THAT(With("tests/nn/m_test.cc", ""), SizeIs(1));
  EXPECT_THAT(With("tests/fuzz/g_fuzz.cc", ""), SizeIs(1));
  // a comment does not list, nor does another name's ending
  EXPECT_THAT(With("src/core/CMakeLists.txt", "pawl_library(core SOURCES ba.cc)  # a.cc\n"),
              SizeIs(1));
}

TEST(LayeringCheck, ASourceMayBeListedInACmakeFileThatIsIncluded) {
  Tree tree = GoodTree();
  tree["src/core/b.cc"] = "";
  tree["src/core/more.cmake"] = "set(MORE b.cc)\n";
  EXPECT_THAT(Violations(tree), SizeIs(1));  // nobody includes it
  tree["src/core/CMakeLists.txt"] += "include(more.cmake)\n";
  EXPECT_THAT(Violations(tree), IsEmpty());
}

TEST(LayeringCheck, LongFilesAreFound) {
  const auto lines = [](size_t count) { return std::string(count, '\n'); };
  EXPECT_THAT(With("src/core/a.h", lines(200)), IsEmpty());
  EXPECT_THAT(With("src/core/a.h", lines(201)),
              ElementsAre("src/core/a.h:201: longer than 200 lines"));
  EXPECT_THAT(With("src/core/a.cc", lines(600)), IsEmpty());
  EXPECT_THAT(With("src/core/a.cc", lines(601)), SizeIs(1));
}

}  // namespace
}  // namespace pawl::layering
