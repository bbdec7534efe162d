// Full disks and broken ones: each call to the system that a writer makes fails in turn. The old file stays whole, and the
// sentence names the file and the system's reason. The calls are taken over by the linker (tests/CMakeLists.txt, --wrap).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <functional>

#include "lamina/io.h"
#include "lamina/optimizer.h"
#include "net_fixture.h"
#include "temporary.h"

using testing::HasSubstr;
using testing::StartsWith;

namespace {

// What the next calls do.
struct Faults {
  bool on = false;
  int calls = 0;      // so far
  int fails = -1;     // the call that fails …
  int error = 0;      // … with this
  bool fills = false; // a write that fails writes half of its bytes before, as a disk does that gets full
  bool full = false;  // … and it is
  bool slow = false;  // writes take a few bytes at a time, and are interrupted between
  bool interrupted = false;
  std::string failed; // the call that failed

  bool now(const char *call) {
    if (!on || calls++ != fails) return false;
    failed = call;
    errno = error;
    return true;
  }
} faults;

} // namespace

extern "C" {
int __real_open(const char *path, int flags, mode_t mode);
int __real_close(int descriptor);
int __real_fsync(int descriptor);
int __real_ftruncate(int descriptor, off_t size);
int __real_rename(const char *from, const char *to);
ssize_t __real_write(int descriptor, const void *data, size_t size);
ssize_t __real_pwrite(int descriptor, const void *data, size_t size, off_t offset);
ssize_t __real_read(int descriptor, void *data, size_t size);
ssize_t __real_pread(int descriptor, void *data, size_t size, off_t offset);

int __wrap_open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
  va_end(list);
  return faults.now("open") ? -1 : __real_open(path, flags, mode);
}
int __wrap_close(int descriptor) {
  const bool fails = faults.now("close");
  const int status = __real_close(descriptor);
  if (fails) errno = faults.error;
  return fails ? -1 : status;
}
int __wrap_fsync(int descriptor) { return faults.now("fsync") ? -1 : __real_fsync(descriptor); }
int __wrap_ftruncate(int descriptor, off_t size) {
  return faults.now("ftruncate") ? -1 : __real_ftruncate(descriptor, size);
}
int __wrap_rename(const char *from, const char *to) { return faults.now("rename") ? -1 : __real_rename(from, to); }

// How many bytes a write may take; -1: it fails.
static ssize_t take(const char *call, size_t size) {
  if (faults.on && faults.slow) {
    faults.interrupted = !faults.interrupted;
    errno = EINTR;
    return faults.interrupted ? -1 : static_cast<ssize_t>(size < 100 ? size : 100);
  }
  if (faults.on && faults.full) {
    errno = faults.error;
    return -1;
  }
  if (!faults.now(call)) return static_cast<ssize_t>(size);
  faults.full = faults.fills;
  return faults.fills ? static_cast<ssize_t>(size / 2) : faults.error ? -1 : 0;
}
ssize_t __wrap_write(int descriptor, const void *data, size_t size) {
  const ssize_t some = take("write", size);
  return some <= 0 ? some : __real_write(descriptor, data, static_cast<size_t>(some));
}
ssize_t __wrap_pwrite(int descriptor, const void *data, size_t size, off_t offset) {
  const ssize_t some = take("pwrite", size);
  return some <= 0 ? some : __real_pwrite(descriptor, data, static_cast<size_t>(some), offset);
}
ssize_t __wrap_read(int descriptor, void *data, size_t size) {
  return faults.now("read") ? -1 : __real_read(descriptor, data, size);
}
ssize_t __wrap_pread(int descriptor, void *data, size_t size, off_t offset) {
  return faults.now("pread") ? -1 : __real_pread(descriptor, data, size, offset);
}
}

namespace {

lamina_status write_array(const std::string &path) {
  std::vector<float> values(40000, 1.5f); // more than one buffer
  const lamina_tensor tensor = lamina_vector(LAMINA_F32, 40000, values.data());
  return lamina_npy_write(path.c_str(), &tensor, nullptr);
}

lamina_status write_tensors(const std::string &path) {
  std::vector<float> values(40000, 2.5f);
  const lamina_tensor tensor = lamina_vector(LAMINA_F32, 40000, values.data());
  lamina_safetensors_writer *writer;
  lamina_status status = lamina_safetensors_create(path.c_str(), nullptr, &writer);
  if (status) return status;
  status = lamina_safetensors_add(writer, "w", &tensor);
  if (!status) return lamina_safetensors_commit(writer);
  lamina_safetensors_abandon(writer);
  return status;
}

lamina_status write_chart(const std::string &path) {
  const double y[] = {3, 2, 1};
  lamina_series series = {};
  series.name = "loss", series.count = 3, series.y = y;
  lamina_chart chart = {};
  chart.series = &series, chart.count = 1;
  return lamina_chart_svg(&chart, path.c_str(), nullptr);
}

lamina_status write_checkpoint(const std::string &path) {
  static const lamina_adam adam = {};
  Device device;
  Examples examples(8, 1, 6, 3);
  Net net(device, {1, 6, 6});
  net.conv(4, 3).add("relu").fc(3);
  lamina_training training = {};
  training.train = examples, training.batch = 4, training.threads = -1;
  training.optimizer = "adam", training.optimizer_attrs = &adam;
  Trainer trainer(net, training);
  EXPECT_OK(lamina_trainer_step(trainer));
  faults.on = true; // nothing before may fail
  const lamina_status status = lamina_trainer_save(trainer, path.c_str());
  faults.on = false;
  return status;
}

struct Writer {
  const char *name;
  lamina_status (*write)(const std::string &path);
};
void PrintTo(const Writer &writer, std::ostream *out) { *out << writer.name; }

class Faulty : public testing::TestWithParam<Writer> {
protected:
  Temporary folder = Temporary::in_memory();
  const std::string path = folder / "file";

  // Writes with these faults; gives what lamina_last_error says.
  lamina_status write(const Faults &these, std::string *sentence) {
    faults = these;
    faults.on = GetParam().write != write_checkpoint;
    const lamina_status status = GetParam().write(path);
    faults.on = false;
    *sentence = lamina_last_error();
    return status;
  }
};

TEST_P(Faulty, EveryCallThatFailsLeavesTheOldFileOrTheNewOne) {
  std::string sentence;
  Faults none;
  ASSERT_EQ(write(none, &sentence), LAMINA_OK) << sentence;
  const std::string whole = read_file(path);
  const int calls = faults.calls;
  EXPECT_GE(calls, 8); // open, truncate, write, fsync, rename, close; open, fsync and close of the folder
  int refused = 0;
  for (int call = 0; call < calls; call++)
    for (const int error : {ENOSPC, EIO, EDQUOT, 0, -ENOSPC}) { // 0: writes nothing; -: fills the disk
      write_file(path, "old");
      Faults these;
      these.fails = call, these.error = std::abs(error), these.fills = error < 0;
      const lamina_status status = write(these, &sentence);
      SCOPED_TRACE(faults.failed + ", call " + std::to_string(call) + ", error " + std::to_string(error));
      const bool writes = faults.failed == "write" || faults.failed == "pwrite";
      if (error <= 0 && !writes) continue; // no other call writes half
      if (status == LAMINA_OK) {
        EXPECT_TRUE(read_file(path) == whole);
        // After the sync a close can't lose anything, and a folder that can't be opened may still be written to.
        EXPECT_TRUE(faults.failed == "close" || faults.failed == "open");
      } else {
        refused++;
        EXPECT_EQ(status, LAMINA_IO);
        EXPECT_THAT(sentence, StartsWith(path + ": can't be "));
        EXPECT_THAT(sentence, HasSubstr(strerror(error ? std::abs(error) : ENOSPC)));
        const std::string now = read_file(path);
        EXPECT_TRUE(now == "old" || (faults.failed == "fsync" && now == whole)) << now.size() << " bytes";
      }
      EXPECT_EQ(folder.count(), 1);
    }
  EXPECT_GE(refused, 5);
}

TEST_P(Faulty, WritesThatAreInterruptedOrShortAreGoneOnWith) {
  std::string sentence;
  Faults none, slow;
  slow.slow = true;
  ASSERT_EQ(write(none, &sentence), LAMINA_OK) << sentence;
  const std::string whole = read_file(path);
  ASSERT_EQ(write(slow, &sentence), LAMINA_OK) << sentence;
  EXPECT_TRUE(read_file(path) == whole);
}

INSTANTIATE_TEST_SUITE_P(Writers, Faulty,
                         testing::Values(Writer{"npy", write_array}, Writer{"safetensors", write_tensors},
                                         Writer{"svg", write_chart}, Writer{"checkpoint", write_checkpoint}),
                         [](const auto &of) { return std::string(of.param.name); });

// ---- Reading

struct Reader {
  const char *name;
  lamina_status (*write)(const std::string &path);
  lamina_status (*read)(const std::string &path);
};
void PrintTo(const Reader &reader, std::ostream *out) { *out << reader.name; }

const Reader readers[] = {
    {"npy", write_array,
     [](const std::string &path) {
       lamina_tensor tensor;
       const lamina_status status = lamina_npy_read(path.c_str(), nullptr, &tensor);
       lamina_npy_free(nullptr, &tensor);
       return status;
     }},
    {"safetensors", write_tensors,
     [](const std::string &path) {
       lamina_safetensors *file;
       std::vector<double> values(40000);
       lamina_status status = lamina_safetensors_open(path.c_str(), nullptr, &file);
       if (status) return status;
       const lamina_tensor to = lamina_vector(LAMINA_F64, 40000, values.data());
       status = lamina_safetensors_read(file, 0, &to);
       lamina_safetensors_close(file);
       return status;
     }},
    {"picture", [](const std::string &path) { return write_file(path, "P2 2 1 9\n1 2\n"), LAMINA_OK; },
     [](const std::string &path) {
       lamina_image image;
       const lamina_status status = lamina_image_read(path.c_str(), nullptr, &image);
       lamina_image_free(nullptr, &image);
       return status;
     }},
    {"recipe", [](const std::string &path) { return write_file(path, "input: [2]\nnet: [fc: 1]\n"), LAMINA_OK; },
     [](const std::string &path) {
       faults.on = false;
       Device device;
       lamina_net *net;
       faults.on = true;
       const lamina_status status = lamina_net_load(device, path.c_str(), nullptr, &net);
       faults.on = false;
       lamina_net_close(net);
       return status;
     }},
};

class FaultyRead : public testing::TestWithParam<Reader> {};

TEST_P(FaultyRead, NamesTheFileAndTheReason) {
  const Temporary folder = Temporary::in_memory();
  const std::string path = folder / "file";
  faults = Faults();
  ASSERT_EQ(GetParam().write(path), LAMINA_OK) << lamina_last_error();
  faults.on = true;
  ASSERT_EQ(GetParam().read(path), LAMINA_OK) << lamina_last_error();
  faults.on = false;
  const int calls = faults.calls;
  EXPECT_GE(calls, 3); // open, read, close
  int refused = 0;
  for (int call = 0; call < calls; call++) {
    faults = Faults();
    faults.on = true, faults.fails = call, faults.error = EIO;
    const lamina_status status = GetParam().read(path);
    faults.on = false;
    if (status == LAMINA_OK) continue;
    refused++;
    EXPECT_EQ(status, LAMINA_IO) << faults.failed;
    EXPECT_THAT(lamina_last_error(), StartsWith(path + ": "));
    EXPECT_THAT(lamina_last_error(), HasSubstr(strerror(EIO)));
  }
  EXPECT_GE(refused, 2);
}

INSTANTIATE_TEST_SUITE_P(Readers, FaultyRead, testing::ValuesIn(readers),
                         [](const auto &of) { return std::string(of.param.name); });

} // namespace
