#include "track/report.h"

#include <gmock/gmock.h>

#include <regex>

#include "core/error.h"
#include "tests/track/track_testing.h"
#include "track/jsonl_sink.h"

namespace pawl::track {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class ReportTest : public FolderTest {
 protected:
  void PutRun(int updates) {
    Put("config.toml",
        "seed = 3\ntotal_steps = 1000\n[env]\nid = \"ArmReach\"\nrig = \"<my & rig>\"\n");
    JsonlSink sink(folder_ / "metrics.jsonl");
    for (int i = 1; i <= updates; ++i) {
      Metrics metrics = {{"time_s", i}, {"env_steps", 100.0 * i}, {"updates", i}};
      for (const char* name :
           {"episode_return", "success_rate", "policy_loss", "value_loss", "approx_kl",
            "clip_fraction", "explained_variance", "entropy", "learning_rate", "steps_per_s"}) {
        metrics.emplace_back(name, 0.1 * i);
      }
      for (const char* phase :
           {"physics_s", "observation_s", "inference_s", "learning_s", "transport_s", "other_s"}) {
        metrics.emplace_back(phase, 0.1 * i);
      }
      metrics.emplace_back("eval_return", i == 5 ? 1.0 : NAN);
      sink.Write(100 * i, metrics);
    }
  }
  std::string Report() { return core::ReadTextFile(WriteReport(folder_)); }
};

TEST_F(ReportTest, ShowsEveryPlot) {
  PutRun(10);
  const std::string html = Report();
  for (const char* title : {"Return", "Success rate", "Policy loss", "Value loss", "KL divergence",
                            "Clip fraction", "Explained variance", "Entropy", "Learning rate",
                            "Throughput", "Time per environment step"}) {
    EXPECT_THAT(html, HasSubstr("<figcaption><b>" + std::string(title) + "</b>"));
  }
  EXPECT_THAT(html, HasSubstr("<circle"));  // the evaluation
  EXPECT_THAT(html, HasSubstr("Where the time went"));
}

TEST_F(ReportTest, IsSelfContained) {
  PutRun(10);
  Put("video.mp4", "0123");
  const std::string html = Report();
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  const std::regex source("src=\"([^\"]{0,20})");
  for (std::sregex_iterator at(html.begin(), html.end(), source), end; at != end; ++at) {
    EXPECT_TRUE((*at)[1].str().starts_with("data:")) << at->str();
  }
}

TEST_F(ReportTest, SmallVideosAreInThePageLargeOnesLinked) {
  PutRun(2);
  Put("video.mp4", "any carnal pleas");
  EXPECT_THAT(Report(), HasSubstr("data:video/mp4;base64,YW55IGNhcm5hbCBwbGVhcw=="));
  Put("video.mp4", std::string(4'000'001, 'x'));
  const std::string html = Report();
  EXPECT_THAT(html, Not(HasSubstr("data:video")));
  EXPECT_THAT(html, HasSubstr("href=\"video.mp4\""));
}

TEST_F(ReportTest, EscapesTheConfig) {
  PutRun(2);
  EXPECT_THAT(Report(), HasSubstr("rig = &quot;&lt;my &amp; rig&gt;&quot;"));
}

TEST_F(ReportTest, ARunWithoutAnUpdateYetHasAPage) {
  PutRun(0);
  const std::string html = Report();
  EXPECT_THAT(html, HasSubstr("No update has been recorded yet"));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST_F(ReportTest, LongRunsStaySmall) {
  PutRun(20000);
  EXPECT_LT(Report().size(), 400'000u);
}

TEST_F(ReportTest, SamplesAreTheNewestFirstAndNotTooMany) {
  PutRun(2);
  std::string lines;
  for (int i = 1; i <= 100; ++i) {
    for (const char* prompt : {"a", "b"})
      lines += fmt::format("{{\"updates\":{},\"prompt\":\"{}\",\"text\":\"x<y\"}}\n", i, prompt);
  }
  Put("samples.jsonl", lines + "{\"updates\":101,\"pro");  // torn by a power cut
  const std::string html = Report();
  EXPECT_THAT(html, HasSubstr("<details open><summary>after 100 updates"));
  EXPECT_THAT(html, HasSubstr("<b>b</b>x&lt;y"));
  EXPECT_LT(html.find("after 95 updates"), html.find("after 5 updates"));
  EXPECT_THAT(html, Not(HasSubstr("after 94 updates")));
  EXPECT_THAT(html, Not(HasSubstr("after 101 updates")));
}

TEST_F(ReportTest, AFolderThatIsNoRunIsRefused) { EXPECT_THROW(WriteReport(folder_), Error); }

}  // namespace
}  // namespace pawl::track
