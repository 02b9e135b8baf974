#include "core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

namespace pawl::core {
namespace {

class ThreadPoolOfSize : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolOfSize, ::testing::Values(1, 2, 4));

TEST_P(ThreadPoolOfSize, EveryIndexRunsExactlyOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (const int n : {0, 1, 2, 3, 100, 1000}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::vector<int> count(n);
      pool.Run(n, [&](int64_t i) { ++count[i]; });
      ASSERT_EQ(count, std::vector<int>(n, 1));
    }
  }
}

TEST_P(ThreadPoolOfSize, TheLowestFailingIndexIsRethrownWhateverTheTiming) {
  ThreadPool pool(GetParam());
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::string caught;
    try {
      pool.Run(64, [](int64_t i) {
        if (i % 10 == 7) throw Error("index " + std::to_string(i));
      });
    } catch (const Error& error) {
      caught = error.what();
    }
    ASSERT_EQ(caught, "index 7");
  }
  int sum = 0;
  pool.Run(1, [&](int64_t) { ++sum; });  // and the pool goes on working
  EXPECT_EQ(sum, 1);
}

TEST(ThreadPool, TheLowestIndexWinsWhicheverFailsFirst) {
  ThreadPool pool(2);
  for (const int64_t first : {0, 1}) {
    std::atomic<bool> thrown = false;
    std::latch both(2);
    try {
      pool.Run(2, [&](int64_t i) {
        both.arrive_and_wait();  // one thread each
        if (i != first) {
          while (!thrown) std::this_thread::yield();
          // the exception of the other index is on its way: very likely stored by now
          const double until = MonotonicSeconds() + 0.005;
          while (MonotonicSeconds() < until) std::this_thread::yield();
        }
        thrown = true;
        throw Error("index " + std::to_string(i));
      });
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "index 0") << "index " << first << " failed first";
    }
  }
}

TEST(ThreadPool, AllThreadsWorkIncludingTheCaller) {
  ThreadPool pool(3);
  std::latch all(3);
  std::vector<std::thread::id> ids(3);
  // each index waits for the others: it ends only if three threads take one each
  pool.Run(3, [&](int64_t i) {
    ids[i] = std::this_thread::get_id();
    all.arrive_and_wait();
  });
  const std::set<std::thread::id> distinct(ids.begin(), ids.end());
  EXPECT_EQ(distinct.size(), 3u);
  EXPECT_TRUE(distinct.contains(std::this_thread::get_id()));
}

TEST(ThreadPool, AWorkerHasOneNumberAndIsAloneWithIt) {
  ThreadPool pool(3);
  std::vector<std::thread::id> of_worker(3);
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<std::atomic<int>> inside(3);
    pool.Run(30, [&](int64_t, int worker) {
      ASSERT_EQ(inside.at(worker)++, 0);
      if (of_worker[worker] == std::thread::id()) of_worker[worker] = std::this_thread::get_id();
      EXPECT_EQ(of_worker[worker], std::this_thread::get_id());
      --inside[worker];
    });
  }
  EXPECT_EQ(of_worker[0], std::this_thread::get_id());
}

TEST(ThreadPool, SizeOneStaysOnTheCallingThreadInOrder) {
  ThreadPool pool(1);
  const auto caller = std::this_thread::get_id();
  std::vector<int64_t> order;
  pool.Run(4, [&](int64_t i) {
    order.push_back(i);
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(ThreadPool, ARunInsideARunIsRefused) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.Run(2, [&](int64_t) { pool.Run(1, [](int64_t) {}); }), Error);
  EXPECT_NO_THROW(pool.Run(2, [](int64_t) {}));
}

TEST(ThreadPool, NoThreadsIsRefused) { EXPECT_THROW(ThreadPool(0), Error); }

}  // namespace
}  // namespace pawl::core
