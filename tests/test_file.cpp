// Files are replaced whole or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "temporary.h"

extern "C" {
#include "io/file.h"
}

using testing::HasSubstr;

namespace {

lamina_status write_whole(const std::string &path, const std::string &bytes) {
  return lamina_file_write_whole(path.c_str(), bytes.data(), bytes.size(), nullptr);
}

TEST(File, IsReplacedWithoutLeftovers) {
  const Temporary folder;
  const std::string path = folder / "a", large(300001, 'x');
  ASSERT_EQ(write_whole(path, "old"), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(write_whole(path, large), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(read_file(path), large);
  EXPECT_EQ(folder.count(), 1);
  char *data;
  size_t size;
  ASSERT_EQ(lamina_file_read(path.c_str(), large.size(), nullptr, &data, &size), LAMINA_OK);
  EXPECT_EQ(std::string(data, size), large);
  lamina_free(nullptr, data);
  EXPECT_EQ(lamina_file_read(path.c_str(), large.size() - 1, nullptr, &data, &size), LAMINA_CORRUPT);
  EXPECT_EQ(data, nullptr);
}

TEST(File, ALinkIsFollowed) {
  const Temporary folder;
  ASSERT_EQ(write_whole(folder / "target", "old"), LAMINA_OK);
  ASSERT_EQ(symlink("target", (folder / "link").c_str()), 0);
  ASSERT_EQ(write_whole(folder / "link", "new"), LAMINA_OK);
  EXPECT_EQ(read_file(folder / "target"), "new");
  struct stat about;
  ASSERT_EQ(lstat((folder / "link").c_str(), &about), 0);
  EXPECT_TRUE(S_ISLNK(about.st_mode));
}

TEST(File, NamesWithoutAFolderWork) {
  const Temporary folder;
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(chdir(folder.path().c_str()), 0);
  const lamina_status status = write_whole("name", "text");
  ASSERT_EQ(chdir(before), 0);
  EXPECT_EQ(status, LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(read_file(folder / "name"), "text");
}

TEST(File, AbandonedLeavesTheOldOne) {
  const Temporary folder;
  ASSERT_EQ(write_whole(folder / "a", "old"), LAMINA_OK);
  lamina_file file;
  ASSERT_EQ(lamina_file_create((folder / "a").c_str(), nullptr, &file), LAMINA_OK);
  lamina_file_write(&file, "half", 4);
  lamina_file_abandon(&file);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(folder.count(), 1);
}

TEST(File, TheLeftoverOfAKilledWriterIsReused) {
  const Temporary folder;
  write_file(folder / "a.tmp", std::string(1000, '?'));
  ASSERT_EQ(write_whole(folder / "a", "new"), LAMINA_OK);
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_EQ(folder.count(), 1);
}

TEST(File, TwoWritersDontMix) {
  const Temporary folder;
  lamina_file first, second;
  ASSERT_EQ(lamina_file_create((folder / "a").c_str(), nullptr, &first), LAMINA_OK);
  EXPECT_EQ(lamina_file_create((folder / "a").c_str(), nullptr, &second), LAMINA_IO);
  EXPECT_THAT(lamina_last_error(), HasSubstr("another writer has it open"));
  lamina_file_write(&first, "first", 5);
  EXPECT_EQ(lamina_file_commit(&first), LAMINA_OK);
  EXPECT_EQ(read_file(folder / "a"), "first");
}

TEST(File, NoFolderOrNoFileIsNamed) {
  const Temporary folder;
  EXPECT_EQ(write_whole(folder / "no/such/file", "x"), LAMINA_IO);
  EXPECT_EQ(lamina_last_error(), (folder / "no/such/file") + ": can't be written: No such file or directory");
  EXPECT_EQ(write_whole(folder.path(), "x"), LAMINA_IO);
  EXPECT_EQ(lamina_last_error(), folder.path() + ": is a folder; expected a file");
}

TEST(File, AReadOnlyFolderIsNamedAndTheOldFileStays) {
  const Temporary folder;
  ASSERT_EQ(write_whole(folder / "a", "old"), LAMINA_OK);
  ASSERT_EQ(chmod(folder.path().c_str(), 0555), 0);
  const bool root = geteuid() == 0; /* root may write anywhere, so be somebody else for a moment */
  ASSERT_TRUE(!root || seteuid(65534) == 0);
  const lamina_status status = write_whole(folder / "a", "new");
  const std::string sentence = lamina_last_error();
  ASSERT_TRUE(!root || seteuid(0) == 0);
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  EXPECT_EQ(status, LAMINA_IO);
  EXPECT_EQ(sentence, (folder / "a") + ": can't be written: Permission denied");
  EXPECT_EQ(read_file(folder / "a"), "old");
}

TEST(File, AFullDiskLeavesTheOldFile) {
  const Temporary folder;
  ASSERT_EQ(write_whole(folder / "a", "old"), LAMINA_OK);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {100000, before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const lamina_status status = write_whole(folder / "a", std::string(200000, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status, LAMINA_IO);
  EXPECT_EQ(lamina_last_error(), (folder / "a") + ": can't be written: File too large");
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(folder.count(), 1);
}

TEST(File, ADeviceIsWrittenToAndStaysADevice) {
  EXPECT_EQ(write_whole("/dev/null", "x"), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(write_whole("/dev/full", "x"), LAMINA_IO);
  EXPECT_STREQ(lamina_last_error(), "/dev/full: can't be written: No space left on device");
  struct stat about;
  ASSERT_EQ(stat("/dev/null", &about), 0);
  EXPECT_TRUE(S_ISCHR(about.st_mode));
}

} // namespace
