/* Where recipes are: a file, or a name that is looked for in the recipe folders. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

enum { FOLDERS = 3, NAMES = 256, PATH_SIZE = 1024 };

typedef struct folders {
  char path[FOLDERS][PATH_SIZE];
} folders;

/* ./recipes, the folder beside the command, and the installed one: LAMINA_RECIPES, as seen from the command's folder. */
static void find_folders(folders *f) {
  char self[PATH_SIZE / 2];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  self[length > 0 ? length : 0] = 0;
  char *slash = strrchr(self, '/');
  if (slash) *slash = 0;
  snprintf(f->path[0], PATH_SIZE, "recipes");
  snprintf(f->path[1], PATH_SIZE, "%s/recipes", self);
  if (LAMINA_RECIPES[0] == '/')
    snprintf(f->path[2], PATH_SIZE, "%s", LAMINA_RECIPES);
  else
    snprintf(f->path[2], PATH_SIZE, "%s/%s", self, LAMINA_RECIPES);
}

static bool is_file(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && !S_ISDIR(s.st_mode);
}

/* Adds the names of the *.yaml files in one folder that aren't in the list yet. */
static int list_folder(const char *folder, char **names, int count) {
  DIR *dir = opendir(folder);
  const struct dirent *entry;
  while (dir && count < NAMES && (entry = readdir(dir))) {
    const char *dot = strrchr(entry->d_name, '.');
    bool known = false;
    if (!dot || dot == entry->d_name || strcmp(dot, ".yaml") != 0) continue;
    char *name = strndup(entry->d_name, (size_t)(dot - entry->d_name));
    for (int i = 0; i < count && name; i++) known |= strcmp(names[i], name) == 0;
    if (name && !known)
      names[count++] = name;
    else
      free(name);
  }
  if (dir) closedir(dir);
  return count;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int unknown(const cli_command *self, const char *word, const folders *f) {
  char *names[NAMES + 1] = {NULL};
  char all[1024] = "";
  int count = 0;
  for (int i = 0; i < FOLDERS; i++) count = list_folder(f->path[i], names, count);
  qsort(names, (size_t)count, sizeof *names, by_name);
  for (int i = 0; i < count; i++) {
    const size_t used = strlen(all);
    snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", names[i]);
  }
  const char *near = cli_nearest(word, (const char *const *)names);
  if (near)
    fprintf(stderr, "lamina %s: there is no recipe \"%s\"; did you mean \"%s\"? There are %s\n", self->name, word, near,
            all);
  else
    fprintf(stderr, "lamina %s: there is no recipe \"%s\", as a file or by name; there are %s\n", self->name, word,
            count ? all : "none in recipes/");
  for (int i = 0; i < count; i++) free(names[i]);
  return EXIT_FAILED;
}

/* The recipe that a run was trained with. */
static bool of_run(const char *folder, char *path, size_t size) {
  const int length = snprintf(path, size, "%s/recipe.yaml", folder);
  return length < (int)size && is_file(path);
}

static int no_recipe(const cli_command *self, const char *path, bool folder) {
  fprintf(stderr, "lamina %s: %s: %s\n", self->name, path,
          folder ? "there is no recipe.yaml in this folder; expected a recipe, or the folder of a run"
                 : "there is no such file");
  return EXIT_FAILED;
}

int cli_recipe(const cli_command *self, const char *word, char *path, size_t size) {
  folders f;
  int length = snprintf(path, size, "%s", word);
  if (length < (int)size && is_file(path)) return 0;
  if (of_run(word, path, size)) return 0;
  const bool folder = access(word, F_OK) == 0;
  if (strchr(word, '/')) return no_recipe(self, word, folder);
  find_folders(&f);
  for (int i = 0; i < FOLDERS; i++) {
    static const char *const endings[] = {".yaml", ""};
    for (int e = 0; e < 2; e++) {
      length = snprintf(path, size, "%s/%s%s", f.path[i], word, endings[e]);
      if (length < (int)size && is_file(path)) return 0;
    }
  }
  return folder ? no_recipe(self, word, true) : unknown(self, word, &f);
}
