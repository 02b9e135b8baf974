#include "train/actors.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

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

TEST_F(ProcessActors, OneKilledInTheMiddleOfARolloutIsReplacedAndNoBitChanges) {
  std::thread killer;
  const auto out = Collect(config_, [&] {
    killer = std::thread([pid = Children().at(0)] {
      usleep(200);
      kill(pid, SIGKILL);
    });
  });
  killer.join();
  EXPECT_EQ(out.rewards, reference_.rewards);
  EXPECT_EQ(out.log_probs, reference_.log_probs);
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
