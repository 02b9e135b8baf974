// The actors of a run behind one interface: threads of this process, or processes it supervises.
// They hold environments and step them through rollout segments into the slab; they hold no
// learning state. Both kinds, and any number of them, give the same bits. Called by the learner's
// thread only.
#pragma once
#include <memory>
#include <string>

#include "train/rollout_slab.h"
#include "train/rollout_worker.h"

namespace pawl::train {

class ActorGroup {
 public:
  virtual ~ActorGroup() = default;
  // Starts episode 0 of every environment.
  virtual void Reset() = 0;
  // Runs a segment; returns when every environment is through. Throws what an environment threw.
  virtual void Collect(const CollectRequest& request) = 0;
  // Copies every environment's state into the slab, or back out of it.
  virtual void SaveStates() = 0;
  virtual void LoadStates() = 0;
  virtual int count() const = 0;
  // "2 threads", "4 processes".
  virtual std::string Description() const = 0;
  // Actors that were found dead or silent and replaced so far.
  virtual int64_t replaced() const { return 0; }
};

// The number of blocks of a run.
int NumBlocks(const ActorSetup& setup);
// actors.count, or the number of cores where it is 0; never more than there are blocks.
int NumActors(const ActorSetup& setup);

std::unique_ptr<ActorGroup> MakeThreadActors(const ActorSetup& setup, RolloutSlab& slab);
std::unique_ptr<ActorGroup> MakeProcessActors(const ActorSetup& setup, RolloutSlab& slab);
std::unique_ptr<ActorGroup> MakeActors(const ActorSetup& setup, RolloutSlab& slab);

}  // namespace pawl::train
