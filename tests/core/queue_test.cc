#include "core/queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace pawl::core {
namespace {
constexpr double kSoon = 0.01;  // seconds
constexpr double kLong = 60;    // no test waits that long unless it fails

TEST(BoundedQueue, FirstInFirstOut) {
  BoundedQueue<int> queue("numbers", 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.Push(int{i}, After(kLong)), QueueStatus::kOk);
  for (int i = 0; i < 3; ++i) {
    int value = -1;
    EXPECT_EQ(queue.Pop(value, After(kLong)), QueueStatus::kOk);
    EXPECT_EQ(value, i);
  }
}

TEST(BoundedQueue, AFullQueueTimesOutAndKeepsTheValueWithTheCaller) {
  BoundedQueue<std::unique_ptr<int>> queue("numbers", 1);
  ASSERT_EQ(queue.Push(std::make_unique<int>(1), After(kLong)), QueueStatus::kOk);
  auto value = std::make_unique<int>(2);
  const double begin = MonotonicSeconds();
  EXPECT_EQ(queue.Push(std::move(value), After(kSoon)), QueueStatus::kTimeout);
  EXPECT_GE(MonotonicSeconds() - begin, kSoon);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(*value, 2);
}

TEST(BoundedQueue, AnEmptyQueueTimesOut) {
  BoundedQueue<int> queue("numbers", 1);
  int value = 7;
  const double begin = MonotonicSeconds();
  EXPECT_EQ(queue.Pop(value, After(kSoon)), QueueStatus::kTimeout);
  EXPECT_GE(MonotonicSeconds() - begin, kSoon);
  EXPECT_EQ(value, 7);
  EXPECT_EQ(queue.Pop(value, After(-1)), QueueStatus::kTimeout);  // a deadline in the past
}

TEST(BoundedQueue, ADeadlineInThePastStillTakesWhatIsThere) {
  BoundedQueue<int> queue("numbers", 1);
  EXPECT_EQ(queue.Push(5, After(-1)), QueueStatus::kOk);
  int value = 0;
  EXPECT_EQ(queue.Pop(value, After(-1)), QueueStatus::kOk);
  EXPECT_EQ(value, 5);
}

TEST(BoundedQueue, AClosedQueueDrainsThenSaysSo) {
  BoundedQueue<int> queue("numbers", 4);
  ASSERT_EQ(queue.Push(1, After(kLong)), QueueStatus::kOk);
  queue.Close();
  queue.Close();
  EXPECT_EQ(queue.Push(2, After(kLong)), QueueStatus::kClosed);
  int value = 0;
  EXPECT_EQ(queue.Pop(value, After(kLong)), QueueStatus::kOk);
  EXPECT_EQ(value, 1);
  EXPECT_EQ(queue.Pop(value, After(kLong)), QueueStatus::kClosed);
}

TEST(BoundedQueue, CloseWakesWaitersOnBothSides) {
  BoundedQueue<int> empty("empty", 1);
  BoundedQueue<int> full("full", 1);
  ASSERT_EQ(full.Push(1, After(kLong)), QueueStatus::kOk);
  QueueStatus popped = QueueStatus::kOk, pushed = QueueStatus::kOk;
  std::thread popper([&] {
    int value = 0;
    popped = empty.Pop(value, After(kLong));
  });
  std::thread pusher([&] { pushed = full.Push(2, After(kLong)); });
  empty.Close();
  full.Close();
  popper.join();
  pusher.join();
  EXPECT_EQ(popped, QueueStatus::kClosed);
  EXPECT_EQ(pushed, QueueStatus::kClosed);
}

TEST(BoundedQueue, EveryItemArrivesOnceAcrossThreads) {
  constexpr int kProducers = 3, kConsumers = 3, kEach = 2000;
  BoundedQueue<int> queue("numbers", 4);
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) {
        ASSERT_EQ(queue.Push(p * kEach + i, After(kLong)), QueueStatus::kOk);
      }
    });
  }
  std::vector<std::vector<int>> received(kConsumers);
  for (int c = 0; c < kConsumers; ++c) {
    threads.emplace_back([&queue, &mine = received[c]] {
      int value = 0;
      while (queue.Pop(value, After(kLong)) == QueueStatus::kOk) mine.push_back(value);
    });
  }
  for (int p = 0; p < kProducers; ++p) threads[p].join();
  queue.Close();
  for (int c = 0; c < kConsumers; ++c) threads[kProducers + c].join();
  std::vector<int> count(kProducers * kEach);
  for (const auto& mine : received) {
    for (const int value : mine) ++count[value];
  }
  EXPECT_EQ(count, std::vector<int>(kProducers * kEach, 1));
}

TEST(BoundedQueue, ErrorsNameTheQueue) {
  BoundedQueue<int> queue("batches", 2);
  ASSERT_EQ(queue.Push(1, After(kLong)), QueueStatus::kOk);
  EXPECT_STREQ(queue.StatusError(QueueStatus::kTimeout, "push a batch", 30).what(),
               "queue 'batches' (1 of 2 items): cannot push a batch within 30 s");
  EXPECT_STREQ(queue.StatusError(QueueStatus::kClosed, "push a batch", 30).what(),
               "queue 'batches' is closed, cannot push a batch");
  EXPECT_THROW(BoundedQueue<int>("none", 0), Error);
}

}  // namespace
}  // namespace pawl::core
