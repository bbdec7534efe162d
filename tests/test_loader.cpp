// The loader: which batches come, that threads and rings change nothing, seeking, failures, memory, and closing at any
// moment.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "kernels/philox.h"
#include "lamina/data.h"
#include "lamina/engine.h"

namespace {

/* ---- A small dataset: example i is [2, 3, 5] of numbers that tell i and the place ---- */

enum { CHANNELS = 2, HEIGHT = 3, WIDTH = 5, VALUES = CHANNELS * HEIGHT * WIDTH };

struct Source {
  std::set<int64_t> torn = {}; /* examples that can't be read */
  int64_t before_torn = 0;     /* reads that the first of them waits for */
  std::atomic<int64_t> reads{0};
  std::mutex lock;
  std::condition_variable read_one;

  static lamina_status read(void *user, int64_t index, float *x, int32_t *label) {
    Source *s = static_cast<Source *>(user);
    {
      const std::lock_guard<std::mutex> hold(s->lock);
      s->reads++;
    }
    s->read_one.notify_all();
    if (s->torn.count(index)) {
      std::unique_lock<std::mutex> hold(s->lock);
      if (index == *s->torn.begin()) /* so that it is told after the others */
        s->read_one.wait_for(hold, std::chrono::seconds(60), [&] { return s->reads >= s->before_torn; });
      return lamina_error(LAMINA_IO, "torn %d", static_cast<int>(index));
    }
    for (int i = 0; i < VALUES; i++) x[i] = static_cast<float>(index * 100 + i);
    *label = static_cast<int32_t>(index % 7);
    return LAMINA_OK;
  }
};

class Set {
public:
  explicit Set(int64_t count) {
    lamina_source s = {};
    s.info.name = "set";
    s.info.count = count;
    s.info.channels = CHANNELS, s.info.height = HEIGHT, s.info.width = WIDTH;
    s.info.classes = 7;
    s.info.low = -2, s.info.high = 2;
    s.read = Source::read, s.user = &source;
    lamina_dataset_options options = {};
    options.normalise.means = 2;
    options.normalise.mean[0] = 1, options.normalise.mean[1] = 3;
    EXPECT_EQ(lamina_dataset_wrap(&s, &options, &data), LAMINA_OK) << lamina_last_error();
  }
  ~Set() { lamina_dataset_close(data); }

  Source source;
  lamina_dataset *data = nullptr;
};

class Loader {
public:
  Loader(const Set &set, const lamina_loader_options &options)
      : status(lamina_loader_open(set.data, &options, &handle)) {}
  ~Loader() { lamina_loader_close(handle); }
  Loader(const Loader &) = delete;

  lamina_batch next() {
    lamina_batch batch;
    EXPECT_EQ(lamina_loader_next(handle, &batch), LAMINA_OK) << lamina_last_error();
    return batch;
  }

  lamina_loader *handle = nullptr;
  lamina_status status;
};

lamina_loader_options options_of(int64_t batch, bool shuffle = false, int threads = 0) {
  lamina_loader_options options = {};
  options.batch = batch;
  options.shuffle = shuffle;
  options.threads = threads;
  options.seed = 42;
  return options;
}

/* All that a batch holds, in a form that can be kept and compared. */
struct Copy {
  int64_t epoch, index;
  std::vector<float> x;
  std::vector<int32_t> label;
  std::vector<int64_t> example;
  explicit Copy(const lamina_batch &b)
      : epoch(b.epoch), index(b.index), x(b.x, b.x + b.n * VALUES), label(b.label, b.label + b.n),
        example(b.example, b.example + b.n) {}
  bool operator==(const Copy &o) const {
    return epoch == o.epoch && index == o.index && x == o.x && label == o.label && example == o.example;
  }
};

std::vector<int32_t> permutation(uint64_t seed, int64_t epoch, int32_t n) {
  std::vector<int32_t> order(static_cast<size_t>(n));
  lamina_permutation(seed, epoch, n, order.data());
  return order;
}

/* Example `index` moved, computed from the definition in the header. */
std::vector<float> expected_picture(int64_t index, int64_t epoch, uint64_t seed, int shift) {
  const uint64_t span = 2 * static_cast<uint64_t>(shift) + 1;
  const philox_words words = philox_block(seed, static_cast<uint64_t>(index), 0x53484654, static_cast<uint32_t>(epoch));
  const int down = static_cast<int>(words.v[0] * span >> 32) - shift;
  const int right = static_cast<int>(words.v[1] * span >> 32) - shift;
  std::vector<float> x;
  for (int c = 0; c < CHANNELS; c++)
    for (int i = 0; i < HEIGHT; i++)
      for (int j = 0; j < WIDTH; j++) {
        const int p = i - down, q = j - right;
        const bool in = p >= 0 && p < HEIGHT && q >= 0 && q < WIDTH;
        const float value = in ? static_cast<float>(index * 100 + (c * HEIGHT + p) * WIDTH + q) : -2;
        x.push_back(value - (c ? 3 : 1));
      }
  return x;
}

/* ---- Orders ---- */

TEST(Permutation, KnownAnswer) {
  EXPECT_EQ(permutation(1, 0, 10), (std::vector<int32_t>{4, 5, 3, 1, 7, 6, 0, 9, 2, 8}));
  EXPECT_EQ(permutation(1, 1, 10), (std::vector<int32_t>{7, 4, 5, 0, 3, 8, 1, 6, 2, 9}));
}

TEST(Permutation, FollowsTheHeader) {
  __extension__ typedef unsigned __int128 wide;
  const int32_t n = 1001;
  std::vector<int32_t> want(n);
  std::iota(want.begin(), want.end(), 0);
  for (int32_t i = n - 1; i > 0; i--) {
    const philox_words w = philox_block(0x123456789abcdef0, static_cast<uint64_t>(i / 2), 0x4F524452, 77);
    const uint64_t r = w.v[2 * (i % 2)] | static_cast<uint64_t>(w.v[2 * (i % 2) + 1]) << 32;
    std::swap(want[static_cast<size_t>(i)], want[static_cast<size_t>(static_cast<wide>(r) * (i + 1) >> 64)]);
  }
  EXPECT_EQ(permutation(0x123456789abcdef0, 77, n), want);
}

TEST(Permutation, IsOneAndDiffers) {
  for (const int32_t n : {0, 1, 2, 3, 4, 5, 1000, 60000}) {
    std::vector<int32_t> sorted = permutation(5, 3, n);
    std::sort(sorted.begin(), sorted.end());
    for (int32_t i = 0; i < n; i++) ASSERT_EQ(sorted[static_cast<size_t>(i)], i);
  }
  EXPECT_NE(permutation(5, 3, 100), permutation(5, 4, 100));
  EXPECT_NE(permutation(5, 3, 100), permutation(6, 3, 100));
}

/* Each of the 24 orders of 4 in its turn: chi square with 23 degrees of freedom, 49.7 at one in a thousand. */
TEST(Permutation, AllOrdersAreAsLikely) {
  std::vector<int> count(4 * 4 * 4 * 4);
  const int epochs = 24000;
  for (int e = 0; e < epochs; e++) {
    const std::vector<int32_t> p = permutation(9, e, 4);
    count[static_cast<size_t>(((p[0] * 4 + p[1]) * 4 + p[2]) * 4 + p[3])]++;
  }
  double chi = 0;
  for (const int c : count)
    if (c) chi += (c - 1000.0) * (c - 1000.0) / 1000.0;
  EXPECT_EQ(std::count(count.begin(), count.end(), 0), 256 - 24);
  EXPECT_LT(chi, 49.7);
}

/* ---- Batches ---- */

TEST(Loader, InOrderAndWholeBatches) {
  Set set(10);
  Loader loader(set, options_of(4));
  ASSERT_EQ(loader.status, LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_loader_batches(loader.handle), 2);
  EXPECT_EQ(lamina_loader_examples(loader.handle), 8);
  for (int64_t t = 0; t < 6; t++) {
    const lamina_batch batch = loader.next();
    EXPECT_EQ(batch.epoch, t / 2);
    EXPECT_EQ(batch.index, t % 2);
    ASSERT_EQ(batch.n, 4);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.x) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.label) % 64, 0u);
    for (int64_t i = 0; i < 4; i++) {
      EXPECT_EQ(batch.example[i], t % 2 * 4 + i);
      EXPECT_EQ(batch.label[i], batch.example[i] % 7);
      EXPECT_EQ(batch.x[i * VALUES], static_cast<float>(batch.example[i] * 100 - 1));
      EXPECT_EQ(batch.x[i * VALUES + VALUES - 1], static_cast<float>(batch.example[i] * 100 + VALUES - 1 - 3));
    }
  }
}

TEST(Loader, PartialBatchesAndTheEnd) {
  Set set(10);
  for (const int threads : {0, 2}) {
    lamina_loader_options options = options_of(4, false, threads);
    options.partial = true;
    options.epochs = 2;
    Loader loader(set, options);
    ASSERT_EQ(loader.status, LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_loader_batches(loader.handle), 3);
    EXPECT_EQ(lamina_loader_examples(loader.handle), 10);
    for (int round = 0; round < 2; round++) {
      std::vector<int64_t> seen;
      for (const int64_t n : {4, 4, 2, 4, 4, 2}) {
        const lamina_batch batch = loader.next();
        ASSERT_EQ(batch.n, n);
        seen.insert(seen.end(), batch.example, batch.example + batch.n);
      }
      for (int64_t i = 0; i < 20; i++) EXPECT_EQ(seen[static_cast<size_t>(i)], i % 10);
      for (int i = 0; i < 2; i++) {
        const lamina_batch end = loader.next();
        EXPECT_EQ(end.n, 0);
        EXPECT_EQ(end.epoch, 2);
        EXPECT_EQ(end.x, nullptr);
      }
      ASSERT_EQ(lamina_loader_seek(loader.handle, 0, 0), LAMINA_OK);
    }
  }
}

TEST(Loader, ABatchLargerThanTheDataset) {
  Set set(10);
  lamina_loader_options options = options_of(64);
  Loader refused(set, options);
  EXPECT_EQ(refused.status, LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("a batch of 64 is more than"), std::string::npos);
  options.partial = true;
  Loader loader(set, options);
  ASSERT_EQ(loader.status, LAMINA_OK);
  EXPECT_EQ(loader.next().n, 10);
  EXPECT_EQ(loader.next().epoch, 1);
}

/* The whole definition at once: order, shift, normalisation, for every shape of ring and number of threads. */
TEST(Loader, SameBatchesWhoeverMakesThem) {
  Set set(101);
  for (const int threads : {0, 1, 3})
    for (const int ahead : {0, 1, 5})
      for (const int hold : {0, 3}) {
        lamina_loader_options options = options_of(8, true, threads);
        options.partial = true;
        options.shift = 2;
        options.ahead = ahead;
        options.hold = hold;
        Loader loader(set, options);
        ASSERT_EQ(loader.status, LAMINA_OK) << lamina_last_error();
        for (int64_t epoch = 0; epoch < 3; epoch++) {
          const std::vector<int32_t> order = permutation(42, epoch, 101);
          for (int64_t at = 0; at < 101;) {
            const lamina_batch batch = loader.next();
            ASSERT_EQ(batch.epoch, epoch);
            for (int64_t i = 0; i < batch.n; i++, at++) {
              const int64_t example = order[static_cast<size_t>(at)];
              ASSERT_EQ(batch.example[i], example);
              ASSERT_EQ(batch.label[i], example % 7);
              ASSERT_EQ(std::vector<float>(batch.x + i * VALUES, batch.x + (i + 1) * VALUES),
                        expected_picture(example, epoch, 42, 2))
                  << threads << " threads, ahead " << ahead << ", hold " << hold << ", example " << example;
            }
          }
        }
      }
}

TEST(Loader, ShiftsTakeEveryOffset) {
  Set set(500);
  lamina_loader_options options = options_of(500);
  options.shift = 1;
  Loader loader(set, options);
  ASSERT_EQ(loader.status, LAMINA_OK);
  const lamina_batch batch = loader.next();
  std::set<float> seen; /* what lies in the middle of the first channel tells the offset */
  for (int64_t i = 0; i < 500; i++) seen.insert(batch.x[i * VALUES + 7] - static_cast<float>(batch.example[i] * 100));
  EXPECT_EQ(seen.size(), 9u);
}

TEST(Loader, HeldBatchesStay) {
  Set set(64);
  lamina_loader_options options = options_of(4, true, 2);
  options.hold = 3;
  Loader loader(set, options);
  ASSERT_EQ(loader.status, LAMINA_OK);
  std::vector<lamina_batch> batch;
  std::vector<Copy> copy;
  for (size_t t = 0; t < 40; t++) {
    batch.push_back(loader.next());
    copy.push_back(Copy(batch.back()));
    for (size_t k = t < 2 ? 0 : t - 2; k <= t; k++) ASSERT_TRUE(Copy(batch[k]) == copy[k]) << k << " at " << t;
  }
}

/* ---- Seeking ---- */

TEST(Loader, SeekingEqualsRunningThrough) {
  Set set(50);
  for (const int threads : {0, 1, 3}) {
    lamina_loader_options options = options_of(8, true, threads);
    options.shift = 1;
    Loader through(set, options), jumping(set, options);
    ASSERT_EQ(through.status, LAMINA_OK);
    ASSERT_EQ(jumping.status, LAMINA_OK);
    const int64_t batches = lamina_loader_batches(through.handle);
    std::vector<Copy> all;
    for (int64_t t = 0; t < 5 * batches; t++) all.push_back(Copy(through.next()));
    for (const int64_t t : {7, 3, 28, 0, 28, 29, 6, 12, 5}) {
      ASSERT_EQ(lamina_loader_seek(jumping.handle, t / batches, t % batches), LAMINA_OK) << lamina_last_error();
      for (int64_t k = t; k < std::min<int64_t>(t + 3, 5 * batches); k++)
        ASSERT_TRUE(Copy(jumping.next()) == all[static_cast<size_t>(k)]) << k;
    }
    ASSERT_EQ(lamina_loader_seek(jumping.handle, 1, batches), LAMINA_OK); /* the end of 1 is the beginning of 2 */
    ASSERT_TRUE(Copy(jumping.next()) == all[static_cast<size_t>(2 * batches)]);
  }
}

TEST(Loader, PlacesThatAreNotThere) {
  Set set(50);
  lamina_loader_options options = options_of(8);
  options.epochs = 2;
  Loader loader(set, options);
  for (const auto &place : std::vector<std::pair<int64_t, int64_t>>{
           {-1, 0}, {0, -1}, {0, 7}, {2, 1}, {3, 0}, {INT64_MAX, 0}, {INT64_C(1) << 32, 0}})
    EXPECT_EQ(lamina_loader_seek(loader.handle, place.first, place.second), LAMINA_INVALID) << place.first;
  EXPECT_EQ(lamina_loader_seek(loader.handle, 2, 0), LAMINA_OK);
  EXPECT_EQ(loader.next().n, 0);
}

/* ---- Failures ---- */

TEST(Loader, FailuresComeToTheCallerWithTheirSentence) {
  for (const int threads : {0, 1, 3}) {
    Set set(40);
    set.source.torn = {21, 18, 35};
    if (threads > 1) set.source.before_torn = 39; /* all but 19, which isn't tried after 18 */
    Loader loader(set, options_of(8, false, threads));
    ASSERT_EQ(loader.status, LAMINA_OK);
    for (int i = 0; i < 2; i++) EXPECT_EQ(loader.next().index, i);
    for (int i = 0; i < 3; i++) { /* again and again, and always of the first in the batch */
      lamina_batch batch;
      (void)lamina_error(LAMINA_INVALID, "something else");
      EXPECT_EQ(lamina_loader_next(loader.handle, &batch), LAMINA_IO);
      EXPECT_STREQ(lamina_last_error(), "dataset \"set\", example 18: torn 18");
      EXPECT_EQ(batch.n, 0);
    }
    ASSERT_EQ(lamina_loader_seek(loader.handle, 0, 3), LAMINA_OK);
    EXPECT_EQ(loader.next().example[0], 24);
  }
}

TEST(Loader, WrongOptions) {
  Set set(40);
  const auto refused = [&](void (*change)(lamina_loader_options *)) {
    lamina_loader_options options = options_of(8);
    change(&options);
    const Loader loader(set, options);
    return loader.status == LAMINA_INVALID && !loader.handle && lamina_loader_memory(set.data, &options) == -1;
  };
  EXPECT_FALSE(refused([](lamina_loader_options *) {}));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->batch = 0; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->batch = -1; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->batch = INT64_MAX; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->shift = -1; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->threads = -1; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->threads = 100000; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->ahead = -1; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->ahead = INT32_MAX; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->hold = INT32_MAX; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->hold = -1; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->epochs = -1; }));
  EXPECT_TRUE(refused([](lamina_loader_options *o) { o->epochs = INT64_C(1) << 40; }));
}

/* ---- Memory and lifetime ---- */

struct Counted {
  std::atomic<int64_t> live{0}, bytes{0}, blocks{0};
  int64_t left = -1; /* allocations before the next fails; -1: none does */
  lamina_allocator allocator = {alloc, free, this};
  static void *alloc(void *user, size_t size, size_t align) {
    Counted *c = static_cast<Counted *>(user);
    if (c->left == 0) return nullptr;
    if (c->left > 0) c->left--;
    c->live++, c->blocks++;
    c->bytes += static_cast<int64_t>(size);
    return aligned_alloc(align, (size + align - 1) / align * align);
  }
  static void free(void *user, void *memory, size_t size) {
    Counted *c = static_cast<Counted *>(user);
    c->live--;
    c->bytes -= static_cast<int64_t>(size);
    ::free(memory);
  }
};

TEST(Loader, MemoryIsWhatWasPredicted) {
  Set set(1000);
  for (const int threads : {0, 2}) {
    Counted counted, buffers;
    lamina_loader_options options = options_of(100, true, threads);
    options.hold = 2;
    options.allocator = &counted.allocator;
    const int64_t predicted = lamina_loader_memory(set.data, &options);
    {
      Loader loader(set, options);
      ASSERT_EQ(loader.status, LAMINA_OK);
      const int64_t headers = counted.blocks * 64; /* lamina_alloc's own */
      EXPECT_EQ(counted.bytes - headers, predicted);
      for (int i = 0; i < 12; i++) loader.next();
      EXPECT_EQ(counted.bytes - headers, predicted);
    }
    EXPECT_EQ(counted.live, 0);

    options.buffers = &buffers.allocator;
    {
      Loader loader(set, options);
      ASSERT_EQ(loader.status, LAMINA_OK);
      EXPECT_EQ(buffers.blocks, threads ? 4 : 2); /* hold + ahead */
      EXPECT_EQ(reinterpret_cast<uintptr_t>(loader.next().x) % 64, 0u);
    }
    EXPECT_EQ(buffers.live, 0);
    EXPECT_EQ(counted.live, 0);
  }
}

TEST(Loader, RunningOutOfMemoryAnywhere) {
  Set set(100);
  Counted counted;
  lamina_loader_options options = options_of(10, true, 2);
  options.allocator = &counted.allocator;
  int failures = 0;
  for (;; failures++) {
    counted.left = failures;
    Loader loader(set, options);
    if (!loader.status) break;
    EXPECT_EQ(loader.status, LAMINA_OUT_OF_MEMORY) << lamina_last_error();
    EXPECT_EQ(counted.live, 0) << failures;
    ASSERT_LT(failures, 50);
  }
  EXPECT_GE(failures, 11);
  EXPECT_EQ(counted.live, 0);
}

TEST(Loader, ClosingAndSeekingWhileThreadsAreBusy) {
  Set set(4096);
  for (int round = 0; round < 60; round++) {
    lamina_loader_options options = options_of(512, true, 1 + round % 3);
    options.ahead = 1 + round % 4;
    Loader loader(set, options);
    ASSERT_EQ(loader.status, LAMINA_OK);
    for (int i = 0; i < round % 4; i++) loader.next();
    if (round % 2) {
      ASSERT_EQ(lamina_loader_seek(loader.handle, round, 3), LAMINA_OK);
      EXPECT_EQ(loader.next().example[0], permutation(42, round, 4096)[3 * 512]);
    }
  }
  lamina_loader_close(nullptr);
}

TEST(Loader, ThreadsWorkUnasked) {
  Set set(1000);
  Loader loader(set, options_of(10, false, 1));
  ASSERT_EQ(loader.status, LAMINA_OK);
  std::unique_lock<std::mutex> hold(set.source.lock);
  EXPECT_TRUE(set.source.read_one.wait_for(hold, std::chrono::seconds(60), [&] { return set.source.reads == 20; }));
}

/* They stay ahead of the caller, but not further than they may. */
TEST(Loader, ThreadsStopWhenTheRingIsFull) {
  Set set(1000);
  lamina_loader_options options = options_of(10, false, 2);
  options.ahead = 3;
  Loader loader(set, options);
  ASSERT_EQ(loader.status, LAMINA_OK);
  for (int64_t taken = 1; taken <= 20; taken++) {
    loader.next();
    EXPECT_GE(set.source.reads, taken * 10);
    EXPECT_LE(set.source.reads, (taken + 3) * 10);
  }
}

} // namespace
