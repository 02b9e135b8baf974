#include <atomic>
#include <mutex>
#include <thread>

#include "core/thread_pool.h"
#include "train/actors.h"

namespace pawl::train {
namespace {
// Steps one thread takes with a block before it looks for the one that lags most.
constexpr int kChunk = 16;

class ThreadActors : public ActorGroup {
 public:
  ThreadActors(const ActorSetup& setup, RolloutSlab& slab)
      : worker_(setup, slab, 0, NumBlocks(setup)),
        pool_(NumActors(setup)),
        progress_(worker_.num_blocks()) {}

  void Reset() override {
    ForEachBlock([this](int block) { worker_.ResetBlock(block); });
  }
  void SaveStates() override {
    ForEachBlock([this](int block) { worker_.SaveBlock(block); });
  }
  void LoadStates() override {
    ForEachBlock([this](int block) { worker_.LoadBlock(block); });
  }

  void Collect(const CollectRequest& request) override {
    for (auto& block : progress_) block = {.next = request.begin};
    failed_ = false;
    pool_.Run(pool_.size(), [&](int thread) { CollectOnThread(thread, request); });
  }

  int count() const override { return pool_.size(); }
  std::string Description() const override {
    return fmt::format("{} thread{}", pool_.size(), pool_.size() == 1 ? "" : "s");
  }

 private:
  struct Progress {
    int next = 0;
    bool busy = false;
  };

  template <class F>
  void ForEachBlock(F&& f) {
    pool_.Run(worker_.num_blocks(), [&](int block) { f(block); });
  }

  // The block that lags most and that nobody is stepping; among equals the thread's own (its caches
  // are warm). -1: none.
  int ClaimBlock(int thread, int end) {
    std::lock_guard lock(mutex_);
    int best = -1;
    for (int i = 0; i < static_cast<int>(progress_.size()); ++i) {
      const Progress& p = progress_[i];
      if (p.busy || p.next >= end) continue;
      const bool mine = i % pool_.size() == thread;
      if (best < 0 || p.next < progress_[best].next ||
          (p.next == progress_[best].next && mine && best % pool_.size() != thread)) {
        best = i;
      }
    }
    if (best >= 0) progress_[best].busy = true;
    return best;
  }

  void CollectOnThread(int thread, const CollectRequest& request) {
    for (int block; !failed_ && (block = ClaimBlock(thread, request.end)) >= 0;) {
      CollectRequest part = request;
      part.begin = progress_[block].next;
      part.end = std::min(part.begin + kChunk, request.end);
      try {
        worker_.CollectBlock(block, part, /*first=*/part.begin == request.begin);
      } catch (...) {
        failed_ = true;
        throw;
      }
      std::lock_guard lock(mutex_);
      progress_[block] = {.next = part.end};
    }
  }

  RolloutWorker worker_;
  core::ThreadPool pool_;
  std::mutex mutex_;
  std::vector<Progress> progress_;  // guarded by mutex_
  std::atomic<bool> failed_{false};
};
}  // namespace

int NumBlocks(const ActorSetup& setup) {
  return (setup.env.num_envs + setup.actors.block - 1) / setup.actors.block;
}

int NumActors(const ActorSetup& setup) {
  const int wanted = setup.actors.count > 0 ? setup.actors.count : core::NumCores();
  return std::min(wanted, NumBlocks(setup));
}

std::unique_ptr<ActorGroup> MakeThreadActors(const ActorSetup& setup, RolloutSlab& slab) {
  return std::make_unique<ThreadActors>(setup, slab);
}

std::unique_ptr<ActorGroup> MakeActors(const ActorSetup& setup, RolloutSlab& slab) {
  return setup.actors.kind == ActorKind::kThread ? MakeThreadActors(setup, slab)
                                                 : MakeProcessActors(setup, slab);
}

}  // namespace pawl::train
