#include "train/actors.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "train/collector.h"
#include "train_testing.h"

namespace pawl::train {
namespace {

std::vector<pid_t> Children() {
  std::ifstream in("/proc/self/task/" + std::to_string(getpid()) + "/children");
  std::vector<pid_t> children;
  for (pid_t pid; in >> pid;) children.push_back(pid);
  return children;
}

struct Rollouts {
  std::vector<float> rewards, log_probs;
  int64_t replaced = 0;
};

// Three rollouts; `disturb` is called before the second one.
Rollouts Collect(const TrainConfig& config, const std::function<void()>& disturb) {
  const auto env = envs::MakeEnv(config.env, config.seed, 0);
  const auto shape = nn::MakeShape(config.policy, env->Spec());
  const auto weights = nn::InitialWeights(config.policy, shape, config.seed);
  Collector collector(config, env->Spec(), shape, "");
  collector.Start(weights.span());
  Rollouts out;
  for (int i = 0; i < 3; ++i) {
    if (i == 1) disturb();
    const auto batch = collector.Collect(weights.span(), i);
    out.rewards.insert(out.rewards.end(), batch.reward, batch.reward + batch.rows());
    out.log_probs.insert(out.log_probs.end(), batch.log_prob, batch.log_prob + batch.rows());
  }
  out.replaced = collector.actors().replaced();
  return out;
}

class ProcessActors : public testing::Test {
 protected:
  ProcessActors() {
    config_ = LoadTrainConfig(WriteSmallConfig(folder_ / "c.toml").string(),
                              {"actors.kind=process", "actors.count=2", "actors.deadline_s=2"});
    reference_ = Collect(config_, [] {});
  }
  TempFolder folder_;
  TrainConfig config_;
  Rollouts reference_;
};

TEST_F(ProcessActors, AKilledOneIsReplacedAndNoBitChanges) {
  const auto out = Collect(config_, [] {
    const auto children = Children();
    ASSERT_EQ(children.size(), 2u);
    kill(children[0], SIGKILL);
  });
  EXPECT_EQ(out.replaced, 1);
  EXPECT_EQ(out.rewards, reference_.rewards);
  EXPECT_EQ(out.log_probs, reference_.log_probs);
}

TEST_F(ProcessActors, AStoppedOneIsFoundByItsDeadlineAndReplaced) {
  const auto out = Collect(config_, [] { kill(Children().at(1), SIGSTOP); });
  EXPECT_EQ(out.replaced, 1);
  EXPECT_EQ(out.rewards, reference_.rewards);
}

// They reach the whole group of a terminal; only the learner ends a run.
TEST_F(ProcessActors, SignalsThatEndTheLearnerGracefullyDoNotEndThem) {
  const auto out = Collect(config_, [] {
    for (const pid_t child : Children()) {
      for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) kill(child, signal_number);
    }
  });
  EXPECT_EQ(out.replaced, 0);
  EXPECT_EQ(out.rewards, reference_.rewards);
}

TEST_F(ProcessActors, ADeadlineBeyondTheClockNeverPasses) {
  TempFolder folder;
  for (const char* deadline : {"3e9", "1e300"}) {  // more than poll, and than the clock, can count
    const auto out = Collect(LoadTrainConfig(WriteSmallConfig(folder / "c.toml").string(),
                                             {"actors.kind=process", "actors.count=2",
                                              std::string("actors.deadline_s=") + deadline}),
                             [] {});
    EXPECT_EQ(out.replaced, 0) << deadline;
    EXPECT_EQ(out.rewards, reference_.rewards) << deadline;
  }
}

// The first process serves environments 0 to 3 in two blocks. When the second block's last one
// kills it, the first block's states are already those of the segment's end: what is run again must
// begin from the segment's start.
TEST(ProcessActorsOfTwoBlocks, OneKilledInTheMiddleOfARolloutIsReplacedAndNoBitChanges) {
  TempFolder folder;
  const auto path = WriteSmallConfig(folder / "c.toml").string();
  const auto kill_file = folder / "killed";
  std::vector<std::string> assignments = {"env.id=Scripted", "actors.kind=process",
                                          "actors.count=2", "actors.block=2",
                                          "env.args.kill_env=3"};
  const auto reference = Collect(LoadTrainConfig(path, assignments), [] {});
  // 32 steps of warm-up and 32 of the first rollout come before the second rollout
  assignments.insert(assignments.end(),
                     {"env.args.kill_step=80", "env.args.kill_file=" + kill_file.string()});
  const auto out = Collect(LoadTrainConfig(path, assignments),
                           [&] { ASSERT_FALSE(std::filesystem::exists(kill_file)); });
  EXPECT_TRUE(std::filesystem::exists(kill_file));
  EXPECT_EQ(out.replaced, 1);
  EXPECT_EQ(out.rewards, reference.rewards);
  EXPECT_EQ(out.log_probs, reference.log_probs);
}

// No process starts within 10 ms; ten that were taken for dead would end the run.
TEST(ProcessActorsThatStart, HaveLongerThanARequestHas) {
  TempFolder folder;
  const auto config =
      LoadTrainConfig(WriteSmallConfig(folder / "c.toml").string(),
                      {"actors.kind=process", "actors.count=2", "actors.deadline_s=0.01"});
  const auto env = envs::MakeEnv(config.env, config.seed, 0);
  const auto shape = nn::MakeShape(config.policy, env->Spec());
  Collector collector(config, env->Spec(), shape, "");
  EXPECT_EQ(collector.actors().replaced(), 0);
}

TEST(ProcessActorsThatStart, InPlaceOfAnotherHaveLongerThanARequestHas) {
  TempFolder folder;
  const auto path = WriteSmallConfig(folder / "c.toml").string();
  const auto reference = Collect(LoadTrainConfig(path, {}), [] {});
  // a stall of the machine may well make a working process look dead for so long; not ten in a row
  const auto out = Collect(
      LoadTrainConfig(path, {"actors.kind=process", "actors.count=2", "actors.deadline_s=0.05"}),
      [] { kill(Children().at(0), SIGKILL); });
  EXPECT_GE(out.replaced, 1);
  EXPECT_EQ(out.rewards, reference.rewards);
  EXPECT_EQ(out.log_probs, reference.log_probs);
}

// Lowers the number of descriptors this process may open, while it lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit lower{.rlim_cur = limit, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &lower);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(ProcessActorsOfALowLimit, SayWhatToRaise) {
  TempFolder folder;
  const auto config = LoadTrainConfig(WriteSmallConfig(folder / "c.toml").string(),
                                      {"actors.kind=process", "actors.count=2"});
  const auto env = envs::MakeEnv(config.env, config.seed, 0);
  const auto shape = nn::MakeShape(config.policy, env->Spec());
  // no descriptor for the memory; none above the fixed ones; not both pipes; not a second process
  for (const int limit : {3, 100, 205, 207}) {
    FewDescriptors few(limit);
    try {
      Collector collector(config, env->Spec(), shape, "");
      ADD_FAILURE() << "made with " << limit << " descriptors";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("ulimit -n"), std::string::npos) << error.what();
      EXPECT_EQ(error.exit_code(), 1);
    }
    EXPECT_TRUE(Children().empty());
  }
}

// The deadline is for a sign of life, not for a whole rollout.
TEST(SlowProcessActors, AreLeftAlone) {
  TempFolder folder;
  const auto config =
      LoadTrainConfig(WriteSmallConfig(folder / "c.toml").string(),
                      {"actors.kind=process", "actors.deadline_s=2", "env.id=HalfCheetah-v5",
                       "env.num_envs=4", "ppo.horizon=18000"});
  const auto env = envs::MakeEnv(config.env, config.seed, 0);
  const auto shape = nn::MakeShape(config.policy, env->Spec());
  const auto weights = nn::InitialWeights(config.policy, shape, config.seed);
  Collector collector(config, env->Spec(), shape, "");
  collector.Start(weights.span());
  const auto begin = std::chrono::steady_clock::now();
  collector.Collect(weights.span(), 0);
  if (std::chrono::steady_clock::now() - begin < std::chrono::seconds(2)) {
    GTEST_SKIP() << "this machine is too fast for the deadline to pass";
  }
  EXPECT_EQ(collector.actors().replaced(), 0);
}

TEST_F(ProcessActors, NoneIsLeftBehind) {
  Collect(config_, [] {});
  EXPECT_TRUE(Children().empty());
}

TEST_F(ProcessActors, GiveTheThreadsBits) {
  TrainConfig threads = config_;
  threads.actors.kind = ActorKind::kThread;
  const auto out = Collect(threads, [] {});
  EXPECT_EQ(out.rewards, reference_.rewards);
  EXPECT_EQ(out.log_probs, reference_.log_probs);
}

}  // namespace
}  // namespace pawl::train
