// A bounded queue between threads. Every wait has a deadline, and the queue has a name, so that
// whoever gives up can say what it waited for: no silent wait. Any number of threads on both sides;
// first in, first out.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "core/clock.h"
#include "core/error.h"

namespace pawl::core {

enum class QueueStatus : uint8_t { kOk, kClosed, kTimeout };

template <class T>
class BoundedQueue {
 public:
  // capacity >= 1.
  BoundedQueue(std::string name, size_t capacity) : name_(std::move(name)), capacity_(capacity) {
    PAWL_CHECK_GE(capacity, 1u, "queue '{}'", name_);
  }

  // Waits for room until the deadline. Unless it returns kOk, `value` is left as it was.
  [[nodiscard]] QueueStatus Push(T&& value, Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (!has_room_.wait_until(lock, deadline,
                              [&] { return closed_ || items_.size() < capacity_; })) {
      return QueueStatus::kTimeout;
    }
    if (closed_) return QueueStatus::kClosed;
    items_.push_back(std::move(value));
    lock.unlock();
    has_items_.notify_one();
    return QueueStatus::kOk;
  }

  // Waits for an item until the deadline. A closed queue still hands out what is in it, then
  // kClosed.
  [[nodiscard]] QueueStatus Pop(T& value, Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (!has_items_.wait_until(lock, deadline, [&] { return closed_ || !items_.empty(); })) {
      return QueueStatus::kTimeout;
    }
    if (items_.empty()) return QueueStatus::kClosed;
    value = std::move(items_.front());
    items_.pop_front();
    lock.unlock();
    has_room_.notify_one();
    return QueueStatus::kOk;
  }

  // Wakes everybody: pushes fail from now on, pops when the queue is empty. Closing twice is fine.
  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    has_items_.notify_all();
    has_room_.notify_all();
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }
  size_t capacity() const { return capacity_; }
  const std::string& name() const { return name_; }

  // The error of a Push or Pop that must succeed: "queue 'batches' is closed: cannot pop", "...
  // after 30 s: ...".
  Error StatusError(QueueStatus status, std::string_view operation, double waited_seconds) const {
    return RunError(
        {.what = status == QueueStatus::kClosed
                     ? fmt::format("queue '{}' is closed, cannot {}", name_, operation)
                     : fmt::format("queue '{}' ({} of {} items): cannot {} within {} s", name_,
                                   size(), capacity_, operation, waited_seconds)});
  }

 private:
  const std::string name_;
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable has_items_;
  std::condition_variable has_room_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace pawl::core
