/* Files that a command will write, looked at before the work: what takes minutes mustn't end with a name that was wrong. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

lamina_status cli_output(const char *path) {
  struct stat s;
  if (!path || strcmp(path, "-") == 0) return LAMINA_OK;
  if (!*path) return lamina_error(LAMINA_INVALID, "a file that is to be written has no name");
  const bool there = stat(path, &s) == 0;
  if (there && S_ISDIR(s.st_mode)) return lamina_error(LAMINA_IO, "%s: it is a folder; expected a file", path);
  /* Opening a pipe would wait for its reader. Who else makes the file meanwhile may keep it. */
  const bool pipe = there && !S_ISREG(s.st_mode);
  const int file = pipe ? -1 : open(path, O_WRONLY | O_CLOEXEC | (there ? 0 : O_CREAT | O_EXCL), 0666);
  if (pipe ? access(path, W_OK) != 0 : file < 0 && errno != EEXIST)
    return lamina_error(LAMINA_IO, "%s: can't be written: %s", path, strerror(errno));
  if (file >= 0) close(file);
  if (file >= 0 && !there) unlink(path);
  return LAMINA_OK;
}
