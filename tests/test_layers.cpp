// The rules that keep the layers apart and the library quiet: who may include what, what the library must not call, and
// that it has no state of its own. The includes are read from the sources, the rest from the symbols of the objects.
// And what the README shows is what is tested.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path root = LAMINA_SOURCE_DIR;

struct Layer {
  std::string folder;
  std::vector<std::string> ours;      // beginnings of what it may include in quotes; "./": files of the same folder
  std::vector<std::string> libraries; // headers of other people's libraries that it may include
};

const std::vector<Layer> layers = {
    {"include/", {"lamina/"}, {}},
    {"src/core/", {"lamina/", "core/", "kernels/philox.h"}, {"omp.h"}},
    {"src/ops/", {"lamina/", "core/", "ops/", "kernels/philox.h"}, {}},
    {"src/cpu/",
     {"lamina/", "core/", "cpu/", "kernels/philox.h"},
     {"dnnl", "oneapi/dnnl/", "omp.h", "immintrin.h", "cpuid.h"}},
    {"src/cuda/", {"lamina/", "core/", "cuda/", "kernels/"}, {"cu", "nv"}},
    {"src/net/", {"lamina/", "core/", "net/", "kernels/philox.h"}, {}},
    {"src/data/", {"lamina/", "core/", "data/", "kernels/philox.h"}, {"png.h", "zlib.h"}},
    {"src/io/", {"lamina/", "core/", "io/"}, {"yaml.h", "zlib.h"}},
    {"kernels/", {"./"}, {"cooperative_groups.h", "cu"}},
    {"tools/", {"lamina/", "./"}, {}},
    {"examples/", {"lamina/", "./"}, {"lamina/"}}, // as a user writes it
};

// C11's own headers: all that include/ may have from outside, so that the interface asks for no particular system.
const std::set<std::string> standard = {
    "assert.h",  "complex.h", "ctype.h",  "errno.h",  "fenv.h",   "float.h",       "inttypes.h", "iso646.h",
    "limits.h",  "locale.h",  "math.h",   "setjmp.h", "signal.h", "stdalign.h",    "stdarg.h",   "stdatomic.h",
    "stdbool.h", "stddef.h",  "stdint.h", "stdio.h",  "stdlib.h", "stdnoreturn.h", "string.h",   "tgmath.h",
    "threads.h", "time.h",    "uchar.h",  "wchar.h",  "wctype.h"};

// What POSIX and Linux add, for the rest of the tree.
const std::set<std::string> system_headers = {"dirent.h", "dlfcn.h",   "fcntl.h", "glob.h",    "libgen.h",  "link.h",
                                              "poll.h",   "pthread.h", "sched.h", "strings.h", "termios.h", "unistd.h"};

bool begins(const std::string &text, const std::string &with) { return text.compare(0, with.size(), with) == 0; }

bool begins_with_any(const std::string &text, const std::vector<std::string> &with) {
  for (const std::string &w : with)
    if (begins(text, w)) return true;
  return false;
}

std::vector<std::string> lines_of(const fs::path &file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Why a file of the layer may not include it; "" when it may.
std::string refusal(const Layer &layer, const std::string &header, bool quoted) {
  if (quoted) {
    const bool beside = header.find('/') == std::string::npos;
    if (begins_with_any(beside ? "./" + header : header, layer.ours)) return "";
    std::string allowed;
    for (const std::string &o : layer.ours) allowed += " " + o;
    return "only what begins with one of these:" + allowed;
  }
  if (standard.count(header) || begins_with_any(header, layer.libraries)) return "";
  const bool of_cpp = header.find('.') == std::string::npos; // <memory>
  if (of_cpp && (layer.folder == "examples/" || layer.folder == "kernels/")) return "";
  if (layer.folder != "include/" &&
      (system_headers.count(header) || begins(header, "sys/") || begins(header, "linux/")))
    return "";
  return layer.folder == "include/" ? "only C11's own headers"
                                    : "only headers of C11, POSIX and Linux, and its own libraries";
}

// Every #include of one file, against its layer.
std::vector<std::string> breaches(const Layer &layer, const std::string &name, const std::vector<std::string> &lines) {
  static const std::regex include("^\\s*#\\s*include\\s*([<\"])([^>\"]+)[>\"].*");
  std::vector<std::string> found;
  for (size_t i = 0; i < lines.size(); i++) {
    std::smatch match;
    if (!std::regex_match(lines[i], match, include)) continue;
    const std::string why = refusal(layer, match[2], match[1] == "\"");
    if (!why.empty())
      found.push_back(name + ":" + std::to_string(i + 1) + ": " + layer.folder + " may not include " + match[2].str() +
                      ": " + why);
  }
  return found;
}

bool is_source(const fs::path &file) {
  static const std::set<std::string> endings = {".c", ".h", ".cu", ".cuh", ".cpp", ".hpp"};
  return endings.count(file.extension().string()) != 0;
}

// Paths relative to the root of everything that is C, C++ or CUDA in a folder.
std::vector<std::string> sources_in(const std::string &folder) {
  std::vector<std::string> files;
  if (!fs::exists(root / folder)) return files;
  for (const auto &entry : fs::recursive_directory_iterator(root / folder))
    if (entry.is_regular_file() && is_source(entry.path())) files.push_back(fs::relative(entry.path(), root).string());
  return files;
}

const Layer *layer_of(const std::string &file) {
  for (const Layer &layer : layers)
    if (begins(file, layer.folder)) return &layer;
  return nullptr;
}

TEST(Layers, IncludeOnlyWhatTheyMay) {
  size_t read = 0;
  for (const char *folder : {"include", "src", "kernels", "tools", "examples"})
    for (const std::string &file : sources_in(folder)) {
      const Layer *layer = layer_of(file);
      if (!layer) {
        ADD_FAILURE() << file << ": belongs to no layer; the table in tests/test_layers.cpp names them all";
        continue;
      }
      for (const std::string &breach : breaches(*layer, file, lines_of(root / file))) ADD_FAILURE() << breach;
      read++;
    }
  EXPECT_GT(read, 10u) << "hardly any source under " << root;
}

TEST(Layers, BrokenRulesAreFound) {
  const auto broken = [](const std::string &file, const std::string &line) {
    return !breaches(*layer_of(file), file, {"", line}).empty();
  };
  EXPECT_TRUE(broken("include/lamina/op.h", "#include \"core/base.h\""));
  EXPECT_TRUE(broken("include/lamina/op.h", "#include <unistd.h>"));
  EXPECT_TRUE(broken("src/core/plan.c", "#include \"ops/conv.h\""));
  EXPECT_TRUE(broken("src/ops/conv.c", "#include <dnnl.h>"));
  EXPECT_TRUE(broken("src/ops/conv.c", "  # include <oneapi/dnnl/dnnl.h> // sly"));
  EXPECT_TRUE(broken("src/ops/conv.c", "#include \"cpu/loop.h\""));
  EXPECT_TRUE(broken("src/net/graph.c", "#include \"io/yaml.h\""));
  EXPECT_TRUE(broken("src/net/graph.c", "#include <cuda_runtime.h>"));
  EXPECT_TRUE(broken("src/cpu/onednn_conv.c", "#include \"ops/conv.h\""));
  EXPECT_TRUE(broken("src/cuda/conv.c", "#include \"cpu/loop.h\""));
  EXPECT_TRUE(broken("kernels/conv.cu", "#include \"lamina/op.h\""));
  EXPECT_TRUE(broken("tools/lamina/main.c", "#include \"core/base.h\""));
  EXPECT_TRUE(broken("examples/op.c", "#include \"tools/lamina/cli.h\""));
  EXPECT_TRUE(broken("src/core/plan.c", "#include \"base.h\""));
  EXPECT_FALSE(broken("tools/lamina/main.c", "#include \"cli.h\""));
  EXPECT_FALSE(broken("src/cpu/onednn_conv.c", "#include <oneapi/dnnl/dnnl.h>"));
  EXPECT_FALSE(broken("src/net/graph.c", "#include \"lamina/data.h\""));
  EXPECT_FALSE(broken("src/io/recipe.c", "// #include \"net/graph.h\""));
  EXPECT_EQ(breaches(layers[0], "include/lamina/x.h", {"", "#include \"core/base.h\""})[0],
            "include/lamina/x.h:2: include/ may not include core/base.h: only what begins with one of these: lamina/");
}

// ---- What the objects say --------------------------------------------------------------------------------------

struct Symbol {
  std::string source, name, section; // "src/core/base.c", "memcpy", "*UND*"
  bool global;
};

// The symbol tables of the library's objects, by objdump of GNU binutils, which comes with the compiler. Its rows:
// 0000000000000000 g     F .text<TAB>00000000000000c6 .hidden lamina_grow
std::vector<Symbol> read_symbols() {
  const fs::path objects = fs::path(LAMINA_BINARY_DIR) / "CMakeFiles/lamina_objects.dir";
  std::string command = "LC_ALL=C objdump -t";
  for (const auto &entry : fs::recursive_directory_iterator(objects)) {
    const fs::path source = fs::relative(entry.path(), objects).replace_extension(); // (a deleted file's object stays)
    if (entry.path().extension() == ".o" && fs::exists(root / source)) command += " '" + entry.path().string() + "'";
  }
  std::vector<Symbol> symbols;
  const std::unique_ptr<FILE, int (*)(FILE *)> pipe(popen(command.c_str(), "r"), pclose);
  std::string source;
  for (std::array<char, 4096> row; pipe && std::fgets(row.data(), row.size(), pipe.get());) {
    const std::string line = row.data();
    const size_t file = line.find(".o:     file format"), tab = line.find('\t');
    if (file != std::string::npos) source = fs::relative(line.substr(0, file), objects).string();
    if (tab == std::string::npos || tab < 26) continue;
    const std::string name = line.substr(line.find_last_of(' ') + 1, line.size() - line.find_last_of(' ') - 2);
    const bool named = !name.empty() && name[0] != '.' && line[22] != 'd'; // not a section, a file, a compiler's label
    if (named) symbols.push_back({source, name, line.substr(25, tab - 25), line[17] == 'g' || line[17] == 'u'});
  }
  return symbols;
}

const std::vector<Symbol> &library_symbols() {
  static const std::vector<Symbol> symbols = read_symbols();
  return symbols;
}

// "src/core/base.c:12", where one of the names stands first; without a number when it stands in a header.
std::string place(const std::string &source, const std::vector<std::string> &names) {
  static const std::regex comment("^\\s*(/?\\*|//)");
  const std::vector<std::string> lines = lines_of(root / source);
  for (const std::string &name : names) {
    const std::regex word("\\b" + name.substr(0, name.find('.')) + "\\b"); // (a static of a function is NAME.NUMBER)
    for (size_t i = 0; i < lines.size(); i++)
      if (std::regex_search(lines[i], word) && !std::regex_search(lines[i], comment))
        return source + ":" + std::to_string(i + 1);
  }
  return source;
}

struct Forbidden {
  std::vector<std::string> calls;
  std::set<std::string> except; // the files that may
  std::string why;
};

const std::vector<Forbidden> forbidden = {
    {{"printf", "vprintf", "puts", "putchar", "perror", "stdout", "stderr", "stdin"},
     {},
     "the library never prints or reads the terminal; say it with lamina_error, a callback or the log function"},
    {{"exit", "_exit", "_Exit", "quick_exit", "abort", "raise", "kill"},
     {},
     "the library never ends its host; return a status"},
    {{"system",   "popen",  "fork",      "execv",  "execve", "execvp",    "setenv",
      "unsetenv", "putenv", "setlocale", "chdir",  "umask",  "signal",    "sigaction",
      "srand",    "rand",   "srandom",   "random", "strtok", "localtime", "gmtime"},
     {},
     "it would change or share state of the whole process"},
    {{"getenv", "secure_getenv"},
     {"src/core/device.c", "src/data/dataset.c"},
     "the environment is read when a device or a dataset is opened, nowhere else"},
    {{"malloc", "calloc", "realloc", "reallocarray", "aligned_alloc", "posix_memalign", "strdup", "strndup", "asprintf",
      "vasprintf", "getline", "getdelim"},
     {"src/core/base.c"},
     "memory comes from the object's allocator: lamina_alloc and lamina_free"},
    {{"free"},
     {"src/core/base.c", "src/io/file.c"}, // (what realpath gave)
     "memory of the object's allocator goes back to it: lamina_free"},
};

TEST(Library, CallsNothingForbidden) {
  ASSERT_FALSE(library_symbols().empty()) << "objdump told nothing about the objects in " << LAMINA_BINARY_DIR;
  for (const Symbol &symbol : library_symbols()) {
    if (symbol.section != "*UND*") continue;
    std::string call = symbol.name; // __printf_chk is printf with _FORTIFY_SOURCE
    if (begins(call, "__") && call.size() > 6 && call.substr(call.size() - 4) == "_chk")
      call = call.substr(2, call.size() - 6);
    for (const Forbidden &rule : forbidden) {
      if (std::find(rule.calls.begin(), rule.calls.end(), call) == rule.calls.end()) continue;
      std::vector<std::string> names = {call}; // (the compiler writes puts for printf)
      names.insert(names.end(), rule.calls.begin(), rule.calls.end());
      if (!rule.except.count(symbol.source))
        ADD_FAILURE() << place(symbol.source, names) << ": uses " << call << ": " << rule.why;
    }
  }
}

TEST(Library, HasNoStateOfItsOwn) {
  for (const Symbol &symbol : library_symbols()) {
    const bool thread = begins(symbol.section, ".tbss") || begins(symbol.section, ".tdata");
    const bool data = begins(symbol.section, ".data") && !begins(symbol.section, ".data.rel.ro");
    const bool writable = thread || data || begins(symbol.section, ".bss") || symbol.section == "*COM*";
    const bool allowed = symbol.name == "last_error" && thread; // the sentence behind a status
    const bool sanitizer = begins(symbol.name, "__odr_asan");
    if (writable && !allowed && !sanitizer)
      ADD_FAILURE()
          << place(symbol.source, {symbol.name}) << ": " << symbol.name
          << " is a variable of the whole process; make it const, or a field of the object that it belongs to";
  }
}

TEST(Library, NamesBeginWithItsPrefix) {
  for (const Symbol &symbol : library_symbols())
    if (symbol.global && symbol.section != "*UND*" && !begins(symbol.name, "lamina_") &&
        !begins(symbol.name, "__odr_asan"))
      ADD_FAILURE() << place(symbol.source, {symbol.name}) << ": " << symbol.name
                    << " is neither static nor begins with lamina_";
}

// The functions that the public headers declare.
std::set<std::string> declared_functions() {
  static const std::regex comment("/\\*[\\s\\S]*?\\*/|//[^\n]*"), function("LAMINA_API[^;(]*?\\b(lamina_\\w+)\\s*\\("),
      planned("\\bLAMINA_PLANNED\\(\\s*(\\w+)");
  std::set<std::string> declared;
  for (const std::string &header : sources_in("include")) {
    std::string text;
    for (const std::string &line : lines_of(root / header))
      if (line.find("#define") == std::string::npos) text += line + "\n";
    text = std::regex_replace(text, comment, "");
    for (std::sregex_iterator match(text.begin(), text.end(), function), end; match != end; ++match)
      declared.insert((*match)[1]);
    for (std::sregex_iterator match(text.begin(), text.end(), planned), end; match != end; ++match)
      for (const char *call : {"_plan", "_run"}) declared.insert("lamina_" + (*match)[1].str() + call);
  }
  return declared;
}

// What nm of GNU binutils lists of a linked file, names only.
std::set<std::string> listed(const std::string &options, const std::string &file) {
  std::set<std::string> names;
  const std::string command = "LC_ALL=C nm --defined-only -P " + options + " '" LAMINA_BINARY_DIR "/lib/" + file + "'";
  const std::unique_ptr<FILE, int (*)(FILE *)> pipe(popen(command.c_str(), "r"), pclose);
  for (std::array<char, 4096> row; pipe && std::fgets(row.data(), row.size(), pipe.get());) {
    const std::string line = row.data(); // "lamina_copy T 1f00 2a"; in an archive also "liblamina.a[base.c.o]:"
    if (line.find("]:") == std::string::npos && line[0] != '\n') names.insert(line.substr(0, line.find(' ')));
  }
  return names;
}

// Every function that a public header declares can be called from outside, and nothing else can.
TEST(Library, ExportsWhatItsHeadersDeclare) {
  const std::set<std::string> declared = declared_functions(), exported = listed("--dynamic", "liblamina.so");
  EXPECT_GT(declared.size(), 100u);
  for (const std::string &name : declared) EXPECT_TRUE(exported.count(name)) << name << " is declared but not there";
  for (const std::string &name : exported) EXPECT_TRUE(declared.count(name)) << name << " is visible but not declared";
}

// A program that is linked with liblamina.a sees the names of its insides, too.
TEST(Library, StaticLibraryDefinesItsOwnNamesOnly) {
  const std::set<std::string> defined = listed("--extern-only", "liblamina.a");
  for (const std::string &name : declared_functions()) EXPECT_TRUE(defined.count(name)) << name;
  for (const std::string &name : defined) EXPECT_TRUE(begins(name, "lamina_")) << name << " is in liblamina.a";
}

// ---- What the headers tell ------------------------------------------------------------------------------------------

// The comment that a header of ops begins with is the whole contract; this is what must be in it.
TEST(Headers, OfOpsGiveTheWholeContract) {
  static const std::regex between("(\\s|\\*)+");
  size_t read = 0;
  for (const std::string &header : sources_in("include")) {
    std::string text, contract;
    for (const std::string &line : lines_of(root / header)) text += line + "\n";
    if (text.find("\nLAMINA_PLANNED(") == std::string::npos) continue;
    contract = std::regex_replace(text.substr(0, text.find("#ifndef")), between, " ");
    for (const char *section : {"[Ss]ources?:? |mirrors", "[Ss]hapes", "[Dd]types", "[Ss]trides", "[Ww]orkspace",
                                "[Ss]tream order", "[Dd]eterministic|[Ee]xact", "[Tt]hread-safe", "[Ee]rrors"})
      EXPECT_TRUE(std::regex_search(contract, std::regex(section)))
          << header << ": its first comment says nothing of " << section;
    read++;
  }
  EXPECT_GT(read, 10u);
}

// ---- What kernels call ----------------------------------------------------------------------------------------------

// test_lanes says of each wrapper of kernels/dev.h and grid.h what a lane gets, here and on a GPU. (Others have smem_u32.)
TEST(Kernels, EveryWrapperIsShownLaneByLane) {
  static const std::regex wrapper(
      "(?:DEV_(?:MMA|LDMATRIX_X[24])\\(|.*\\b(?:DEV_FN|__forceinline__) \\w+ )(\\w+)[(,].*");
  std::string shown;
  int found = 0;
  for (const std::string &line : lines_of(root / "tests/simt/lanes.cu")) shown += line + "\n";
  std::vector<std::string> wrappers = lines_of(root / "kernels/dev.h");
  for (const std::string &line : lines_of(root / "kernels/grid.h")) wrappers.push_back(line);
  for (const std::string &line : wrappers) {
    std::smatch match;
    if (!std::regex_match(line, match, wrapper) || match[1] == "smem_u32" || match[1] == "name") continue;
    EXPECT_TRUE(std::regex_search(shown, std::regex("\\b" + match[1].str() + "\\b(<[^>]*>)?\\(")))
        << "tests/simt/lanes.cu shows nothing of " << match[1];
    found++;
  }
  EXPECT_GE(found, 12);
}

// ---- What the README shows ------------------------------------------------------------------------------------------

TEST(Readme, ShowsTheExampleThatIsTested) {
  std::string readme, example;
  for (const std::string &line : lines_of(root / "README.md")) readme += line + "\n";
  for (const std::string &line : lines_of(root / "examples/conv.c")) example += line + "\n";
  EXPECT_NE(readme.find("```c\n" + example + "```\n"), std::string::npos)
      << "the C example of README.md is not examples/conv.c, line for line";
}

} // namespace
