/* How much memory the process may still take: what the kernel calls available, or less where a control group (a container,
 * a batch system's job) has a limit. cgroup v2: Linux, Documentation/admin-guide/cgroup-v2.rst; v1: cgroup-v1/memory.rst.
 *
 *   /proc/self/cgroup            0::/a/b                    v2: the process is in ROOT/sys/fs/cgroup/a/b
 *                                4:memory:/a/b              v1: in ROOT/sys/fs/cgroup/memory/a/b
 *
 * Limits count in every group above, too. In a container the path may be one that only the host has; then its parents are
 * tried, up to the mount itself, which is the container's own group. */
#include <limits.h>
#include <stdio.h>

#include "net/net.h"

typedef struct version {
  const char *mount, *limit, *usage;
  const char *reclaimable; /* of memory.stat: cached files, which count as used but are given up when needed */
} version;

static const version v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                           "total_inactive_file %llu"};
static const version v2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file %llu"};

/* The number in the first line of the file that has this form; false where there is none. */
static bool find_number(const char *path, const char *form, unsigned long long *number) {
  char line[256];
  bool found = false;
  FILE *file = fopen(path, "re");
  while (file && !found && fgets(line, sizeof line, file)) found = sscanf(line, form, number) == 1;
  if (file) fclose(file);
  return found;
}

/* What one group leaves; SIZE_MAX where it has no limit. */
static size_t group_has(const char *folder, const version *v) {
  char path[PATH_MAX + 64];
  unsigned long long limit, used = 0, cached = 0;
  snprintf(path, sizeof path, "%s/%s", folder, v->limit);
  if (!find_number(path, "%llu", &limit)) return SIZE_MAX; /* "max", or no such group */
  snprintf(path, sizeof path, "%s/%s", folder, v->usage);
  if (!find_number(path, "%llu", &used)) return SIZE_MAX;
  snprintf(path, sizeof path, "%s/memory.stat", folder);
  if (find_number(path, v->reclaimable, &cached)) used -= cached < used ? cached : used;
  return limit > used ? (size_t)(limit - used) : 0;
}

/* The least that the group `path` and those above it leave. */
static size_t groups_have(const char *root, const version *v, const char *path) {
  char folder[PATH_MAX];
  size_t least = SIZE_MAX;
  const int mount = snprintf(folder, sizeof folder, "%s%s", root, v->mount);
  const int all = snprintf(folder, sizeof folder, "%s%s%s", root, v->mount, path);
  if (all < mount || all >= (int)sizeof folder) return SIZE_MAX;
  for (char *end = folder + all; end >= folder + mount; end--) { /* "/a/b", "/a", "" */
    if (*end && *end != '/') continue;
    *end = 0;
    const size_t has = group_has(folder, v);
    if (has < least) least = has;
  }
  return least;
}

/* A line of /proc/self/cgroup: "NUMBER:CONTROLLERS:PATH". */
static size_t line_has(const char *root, char *line) {
  char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL, *rest;
  if (!path) return SIZE_MAX;
  *path++ = 0;
  path[strcspn(path, "\n")] = 0;
  if (!*++controllers) return groups_have(root, &v2, path);
  for (char *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
    if (strcmp(name, "memory") == 0) return groups_have(root, &v1, path);
  return SIZE_MAX;
}

size_t lamina_machine_memory(const char *root) {
  char path[PATH_MAX], line[PATH_MAX];
  unsigned long long kib;
  snprintf(path, sizeof path, "%s/proc/meminfo", root);
  size_t least = find_number(path, "MemAvailable: %llu kB", &kib) ? (size_t)kib * 1024 : SIZE_MAX;
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) {
    const size_t has = line_has(root, line);
    if (has < least) least = has;
  }
  if (file) fclose(file);
  return least == SIZE_MAX ? 0 : least ? least : 1;
}
