// Batches made ahead of the learner by a thread of its own, so that reading and tokenising cost the
// update nothing. They are the same as without it, in the same order.
#pragma once
#include <exception>
#include <memory>
#include <thread>

#include "core/queue.h"
#include "text/shuffled_batches.h"

namespace pawl::text {

class BatchQueue {
 public:
  // Goes on from the cursor of `batches`, which this thread leaves alone from now on. capacity:
  // batches that wait at most.
  BatchQueue(ShuffledBatches batches, int64_t capacity, double deadline_s);
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // Waits for the next batch. Rethrows what making it threw; throws RunError after the deadline.
  TokenBatch Next();
  // Behind the batches that Next has handed out.
  BatchCursor cursor() const { return cursor_; }

 private:
  struct Item {
    TokenBatch batch;
    BatchCursor after;
    std::exception_ptr failure;
  };
  void Work();
  ShuffledBatches batches_;
  BatchCursor cursor_;
  const double deadline_s_;
  core::BoundedQueue<Item> queue_;
  std::thread thread_;
};

}  // namespace pawl::text
