// A folder for one test, removed with what is in it.
#ifndef LAMINA_TESTS_TEMPORARY_H
#define LAMINA_TESTS_TEMPORARY_H

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

class Temporary {
public:
  Temporary() : Temporary(std::filesystem::temp_directory_path()) {}
  // In memory where there is such a place: for tests that write a thousand files, each of which waits for the disk.
  static Temporary in_memory() {
    const std::filesystem::path memory = "/dev/shm";
    return Temporary(access(memory.c_str(), W_OK) ? std::filesystem::temp_directory_path() : memory);
  }
  ~Temporary() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Temporary(const Temporary &) = delete;
  Temporary &operator=(const Temporary &) = delete;

  std::string operator/(const std::string &name) const { return path_ + "/" + name; }
  const std::string &path() const { return path_; }

  // Number of entries in the folder.
  int count() const {
    int n = 0;
    for (const auto &entry : std::filesystem::directory_iterator(path_)) n += entry.exists();
    return n;
  }

private:
  explicit Temporary(const std::filesystem::path &parent) {
    std::string name = (parent / "lamina-XXXXXX").string();
    if (!mkdtemp(name.data())) abort();
    path_ = name;
  }
  std::string path_;
};

inline void write_file(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

#endif
