// The built command as a process: what it prints and how it exits.
#ifndef LAMINA_TESTS_COMMAND_H
#define LAMINA_TESTS_COMMAND_H

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "pattern.h"
#include "temporary.h"

struct Result {
  int code = -1; // the exit code, or 1000 + the signal that ended it
  std::string out, err;
};

using Words = std::vector<std::string>;

// A process of the command, in a folder of its own; its standard output can be read line by line while it runs. It
// blocks when it is some 40 lines ahead, so a signal finds it where the test wants it.
class Process {
public:
  Process(const Words &words, const std::string &folder) : err_path_(folder + "/.stderr") {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) || fcntl(ends[0], F_SETPIPE_SZ, 4096) < 0) abort();
    pid_ = fork();
    if (pid_ == 0) child(words, folder, ends[1]);
    close(ends[1]);
    out_ = fdopen(ends[0], "r");
  }
  ~Process() {
    if (pid_ > 0) signal(SIGKILL), finish();
    fclose(out_);
  }
  Process(const Process &) = delete;
  Process &operator=(const Process &) = delete;

  void signal(int number) { kill(pid_, number); }
  // The next line of its output without the newline; false at the end.
  bool line(std::string *text) {
    char *buffer = nullptr;
    size_t room = 0;
    const ssize_t length = getline(&buffer, &room, out_);
    if (length > 0) text->assign(buffer, static_cast<size_t>(length) - (buffer[length - 1] == '\n'));
    free(buffer);
    return length > 0;
  }
  // Reads the rest and waits for the end.
  Result finish() {
    Result result;
    int status = 0;
    for (std::string text; line(&text);) result.out += text + "\n";
    waitpid(pid_, &status, 0);
    pid_ = -1;
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    result.err = read_file(err_path_);
    return result;
  }

private:
  [[noreturn]] void child(const Words &words, const std::string &folder, int out) {
    std::vector<char *> argv;
    static char name[] = "lamina";
    argv.push_back(name);
    for (const std::string &word : words) argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);
    const int err = open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (chdir(folder.c_str()) == 0) execv(LAMINA_BINARY_DIR "/bin/lamina", argv.data());
    _exit(127);
  }

  pid_t pid_;
  std::string err_path_;
  FILE *out_;
};

inline Result run_lamina(const Words &words, const std::string &folder) { return Process(words, folder).finish(); }

inline int count_lines(const std::string &text) {
  int lines = 0;
  for (const char c : text) lines += c == '\n';
  return lines;
}

inline std::string last_line(const std::string &text) {
  const size_t end = text.size() - 1, start = text.rfind('\n', end - 1);
  return text.size() < 2 ? text : text.substr(start == std::string::npos ? 0 : start + 1, end - (start + 1));
}

// metrics.jsonl without what depends on the clock.
inline std::string without_clock(const std::string &metrics) {
  std::string rest;
  Pattern(",\"images_per_second\":[^,}]*,\"seconds\":[^,}]*").count(metrics, &rest);
  return rest;
}

// The command failed with one sentence on standard error that has all these parts in it.
inline void expect_failure(const Result &result, const Words &parts, int code = 1) {
  EXPECT_EQ(result.code, code) << result.out << result.err;
  EXPECT_EQ(count_lines(result.err), code == 2 ? 2 : 1) << result.err; // wrong usage is followed by the right one
  EXPECT_EQ(result.err.rfind("lamina ", 0), 0u) << result.err;
  for (const std::string &part : parts)
    EXPECT_NE(result.err.find(part), std::string::npos) << part << "\n" << result.err;
}

#endif
