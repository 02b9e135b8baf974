#include "text/batch_queue.h"

#include <algorithm>

namespace pawl::text {
namespace {
constexpr double kNoDeadline = 1e9;  // the learner may take as long as it likes; Close() wakes
}

BatchQueue::BatchQueue(ShuffledBatches batches, int64_t capacity, double deadline_s)
    : batches_(std::move(batches)),
      cursor_(batches_.cursor()),
      deadline_s_(deadline_s),
      queue_("batches", static_cast<size_t>(std::max<int64_t>(1, capacity))),
      thread_([this] { Work(); }) {}

BatchQueue::~BatchQueue() {
  queue_.Close();
  thread_.join();
}

void BatchQueue::Work() {
  for (bool go_on = true; go_on;) {
    Item item;
    try {
      item.batch = batches_.Next();
      item.after = batches_.cursor();
    } catch (...) {
      item.failure = std::current_exception();
    }
    go_on = item.failure == nullptr;
    go_on &= queue_.Push(std::move(item), core::After(kNoDeadline)) == core::QueueStatus::kOk;
  }
  queue_.Close();
}

TokenBatch BatchQueue::Next() {
  Item item;
  const core::QueueStatus status = queue_.Pop(item, core::After(deadline_s_));
  if (status != core::QueueStatus::kOk)
    throw queue_.StatusError(status, "take the next batch", deadline_s_);
  if (item.failure != nullptr) std::rethrow_exception(item.failure);
  cursor_ = item.after;
  return std::move(item.batch);
}

}  // namespace pawl::text
