// How much memory a process may take, told from copies of the kernel's files.
#include <gtest/gtest.h>

#include "temporary.h"

extern "C" {
#include "net/net.h"
}

namespace {

class Machine : public testing::Test {
protected:
  Temporary root;

  void put(const std::string &name, const std::string &text) {
    const std::string path = root / name;
    std::filesystem::create_directories(path.substr(0, path.rfind('/')));
    write_file(path, text);
  }
  void available(int64_t kib) {
    put("proc/meminfo",
        "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:   " + std::to_string(kib) + " kB\nBuffers: 1 kB\n");
  }
  // A group of cgroup v2.
  void group(const std::string &name, const std::string &limit, int64_t used, int64_t cached) {
    const std::string folder = "sys/fs/cgroup" + name + "/";
    put(folder + "memory.max", limit + "\n");
    put(folder + "memory.current", std::to_string(used) + "\n");
    put(folder + "memory.stat",
        "anon 5\ninactive_anon 9\ninactive_file " + std::to_string(cached) + "\nactive_file 3\n");
  }
  void old_group(const std::string &name, int64_t limit, int64_t used, int64_t cached) {
    const std::string folder = "sys/fs/cgroup/memory" + name + "/";
    put(folder + "memory.limit_in_bytes", std::to_string(limit) + "\n");
    put(folder + "memory.usage_in_bytes", std::to_string(used) + "\n");
    put(folder + "memory.stat", "inactive_file 7\ntotal_inactive_file " + std::to_string(cached) + "\n");
  }
  size_t memory() { return lamina_machine_memory(root.path().c_str()); }
};

TEST_F(Machine, ThisOneHasMemory) { EXPECT_GT(lamina_machine_memory(""), 1u << 20); }

TEST_F(Machine, ThatSaysNothingIsUnknown) { EXPECT_EQ(memory(), 0u); }

TEST_F(Machine, WithoutGroups) {
  available(1000);
  EXPECT_EQ(memory(), 1024000u);
}

TEST_F(Machine, AGroupLeavesLess) {
  available(1000);
  put("proc/self/cgroup", "0::/job\n");
  group("/job", "500000", 200000, 50000);
  EXPECT_EQ(memory(), 350000u); // files that are only cached are given up
  group("/job", "max", 200000, 50000);
  EXPECT_EQ(memory(), 1024000u);
  group("/job", "5000000", 200000, 50000);
  EXPECT_EQ(memory(), 1024000u); // no more than the machine has
  group("/job", "500000", 600000, 0);
  EXPECT_EQ(memory(), 1u); // nothing, but known
}

TEST_F(Machine, GroupsAboveCount) {
  available(1000);
  put("proc/self/cgroup", "0::/job/step/task\n");
  group("/job", "400000", 100000, 0);
  group("/job/step/task", "500000", 0, 0);
  EXPECT_EQ(memory(), 300000u);
}

TEST_F(Machine, AContainerSeesItsOwnGroupAtTheMount) {
  available(1000);
  put("proc/self/cgroup", "0::/docker/0123456789\n"); // a path of the host
  group("", "300000", 100000, 0);
  EXPECT_EQ(memory(), 200000u);
  put("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(memory(), 200000u);
}

TEST_F(Machine, TheFirstVersionOfGroups) {
  available(1000);
  put("proc/self/cgroup", "11:cpuset:/\n4:cpu,memory:/job\n1:name=systemd:/job\n");
  old_group("/job", 500000, 200000, 60000);
  EXPECT_EQ(memory(), 360000u);
  old_group("/job", 9223372036854771712, 200000, 60000); // without a limit
  EXPECT_EQ(memory(), 1024000u);
  old_group("", 250000, 100000, 0);
  EXPECT_EQ(memory(), 150000u);
}

TEST_F(Machine, WhatIsNotUnderstoodDoesNotCount) {
  available(1000);
  put("proc/self/cgroup", "nothing\n0:memory\n0::" + std::string(5000, 'x') + "\n7:memory:/job\n");
  old_group("/job", 100000, 0, 0);
  put("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "?\n");
  EXPECT_EQ(memory(), 1024000u);
}

} // namespace
