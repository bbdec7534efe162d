/* Reading whole files, and writing them whole or not at all.
 *
 *   create: PATH.tmp, locked ── write … ── commit: flush, fsync ── rename over PATH ── fsync the folder
 *
 * A process that is killed leaves PATH.tmp and the old PATH; the next writer takes the same name again, so leftovers
 * don't pile up, and the lock keeps two living writers apart. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 64 << 10 };

static lamina_status io_error(const char *path, const char *what) {
  return lamina_error(LAMINA_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- Reading -------------------------------------------------------------------------------------------------------
 */

static lamina_status read_all(int descriptor, const char *path, size_t most, const lamina_allocator *allocator,
                              char **data, size_t *used) {
  size_t size = 0;
  for (;;) {
    if (*used + 1 >= size) {
      size = size ? 2 * size : BUFFER;
      char *grown = lamina_grow(allocator, *data, size);
      if (!grown) return LAMINA_OUT_OF_MEMORY;
      *data = grown;
    }
    const ssize_t got = read(descriptor, *data + *used, size - *used - 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, "can't be read");
    *used += (size_t)got;
    if (*used > most) return lamina_error(LAMINA_CORRUPT, "%s: more than %zu bytes; expected fewer", path, most);
    if (got == 0) return (*data)[*used] = 0, LAMINA_OK;
  }
}

lamina_status lamina_file_read(const char *path, size_t most, const lamina_allocator *allocator, char **data,
                               size_t *size) {
  *data = NULL, *size = 0;
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return io_error(path, "can't be opened");
  const lamina_status status = read_all(descriptor, path, most, allocator, data, size);
  close(descriptor);
  if (status != LAMINA_OK) lamina_free(allocator, *data), *data = NULL;
  return status;
}

lamina_status lamina_file_open(const char *path, int *descriptor, int64_t *size) {
  struct stat about;
  *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not block */
  if (*descriptor < 0) return io_error(path, "can't be opened");
  lamina_status status = LAMINA_OK;
  if (fstat(*descriptor, &about) != 0)
    status = io_error(path, "can't be read");
  else if (!S_ISREG(about.st_mode))
    status = lamina_error(LAMINA_IO, "%s: is %s; expected a file", path,
                          S_ISDIR(about.st_mode) ? "a folder" : "a device or a pipe");
  *size = (int64_t)about.st_size;
  if (status != LAMINA_OK) close(*descriptor), *descriptor = -1;
  return status;
}

lamina_status lamina_file_read_at(int descriptor, const char *path, int64_t offset, void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t got = pread(descriptor, (char *)data + done, size - done, (off_t)offset + (off_t)done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, "can't be read");
    if (got == 0)
      return lamina_error(LAMINA_CORRUPT, "%s: ends at byte %lld; expected %zu more", path,
                          (long long)offset + (long long)done, size - done);
    done += (size_t)got;
  }
  return LAMINA_OK;
}

/* ---- Writing -------------------------------------------------------------------------------------------------------
 */

/* What `path` stands for: a link is followed, so that the file is replaced and not the link. Sets *device where it is
 * neither file nor folder nor absent. */
static lamina_status resolve(const char *path, const lamina_allocator *allocator, char **resolved, bool *device) {
  struct stat about;
  const bool exists = stat(path, &about) == 0;
  if (exists && S_ISDIR(about.st_mode)) return lamina_error(LAMINA_IO, "%s: is a folder; expected a file", path);
  *device = exists && !S_ISREG(about.st_mode);
  char *real = exists && !*device ? realpath(path, NULL) : NULL;
  *resolved = lamina_copy_text(allocator, real ? real : path);
  free(real);
  return *resolved ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

/* What a killed writer left goes. */
static lamina_status empty(lamina_file *file) {
  if (ftruncate(file->descriptor, 0) == 0) return LAMINA_OK;
  const lamina_status status = io_error(file->path, "can't be written");
  unlink(file->temporary);
  return status;
}

/* Opens and locks the temporary file; another writer may rename or remove it between the two. */
static lamina_status open_temporary(lamina_file *file, bool wait) {
  for (int attempt = 0; attempt < 100; attempt++) {
    struct stat ours, named;
    file->descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file->descriptor < 0) return io_error(file->path, "can't be written");
    int locked;
    do locked = flock(file->descriptor, LOCK_EX | (wait ? 0 : LOCK_NB));
    while (locked != 0 && errno == EINTR);
    if (locked != 0 && errno == EWOULDBLOCK)
      return lamina_error(LAMINA_IO, "%s: can't be written: another writer has it open", file->path);
    if (fstat(file->descriptor, &ours) == 0 && stat(file->temporary, &named) == 0 && ours.st_ino == named.st_ino &&
        ours.st_dev == named.st_dev)
      return empty(file);
    close(file->descriptor);
    file->descriptor = -1;
  }
  return lamina_error(LAMINA_IO, "%s: can't be written: another writer keeps taking %s", file->path, file->temporary);
}

static void close_file(lamina_file *file) {
  if (file->descriptor >= 0) close(file->descriptor);
  lamina_free(&file->allocator, file->path);
  lamina_free(&file->allocator, file->temporary);
  lamina_free(&file->allocator, file->buffer);
  *file = (lamina_file){.descriptor = -1};
}

static lamina_status create(const char *path, const lamina_allocator *allocator, bool wait, lamina_file *file) {
  *file = (lamina_file){.allocator = allocator ? *allocator : lamina_malloc, .descriptor = -1};
  bool device = false;
  lamina_status status = resolve(path, &file->allocator, &file->path, &device);
  if (status == LAMINA_OK) {
    file->buffer = lamina_alloc(&file->allocator, BUFFER);
    if (!file->buffer) status = LAMINA_OUT_OF_MEMORY;
  }
  if (status == LAMINA_OK && device) {
    file->descriptor = open(file->path, O_WRONLY | O_CLOEXEC);
    if (file->descriptor < 0) status = io_error(file->path, "can't be written");
  } else if (status == LAMINA_OK) {
    const size_t size = strlen(file->path) + sizeof ".tmp";
    file->temporary = lamina_alloc(&file->allocator, size);
    if (file->temporary) snprintf(file->temporary, size, "%s.tmp", file->path);
    status = file->temporary ? open_temporary(file, wait) : LAMINA_OUT_OF_MEMORY;
  }
  if (status != LAMINA_OK) close_file(file);
  return status;
}

lamina_status lamina_file_create(const char *path, const lamina_allocator *allocator, lamina_file *file) {
  return create(path, allocator, false, file);
}

lamina_status lamina_file_replace(const char *path, const lamina_allocator *allocator, lamina_file *file) {
  return create(path, allocator, true, file);
}

/* Writes all of it, where the file stands or, with an offset of 0 or more, there. */
static void write_out(lamina_file *file, const char *data, size_t size, int64_t offset) {
  while (size && !file->error) {
    const ssize_t put = offset < 0 ? write(file->descriptor, data, size) : pwrite(file->descriptor, data, size, offset);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      file->error = put < 0 ? errno : ENOSPC;
      return;
    }
    data += put, size -= (size_t)put;
    if (offset >= 0) offset += put;
  }
}

static void flush(lamina_file *file) {
  write_out(file, file->buffer, file->used, -1);
  file->used = 0;
}

void lamina_file_write(lamina_file *file, const void *data, size_t size) {
  if (file->used + size > BUFFER) flush(file);
  if (size >= BUFFER) {
    write_out(file, data, size, -1);
  } else if (size) {
    memcpy(file->buffer + file->used, data, size);
    file->used += size;
  }
}

void lamina_file_rewrite(lamina_file *file, int64_t offset, const void *data, size_t size) {
  flush(file);
  write_out(file, data, size, offset);
}

/* The rename is only safe from a power failure when the folder's own entry is on the disk. */
static lamina_status sync_folder(lamina_file *file) {
  char *slash = strrchr(file->path, '/'), *end = slash ? slash + (slash == file->path) : NULL, cut = end ? *end : 0;
  if (end) *end = 0;
  const int folder = open(end ? file->path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (end) *end = cut;
  if (folder < 0) return LAMINA_OK; /* it may be written to but not read; the file is complete all the same */
  const bool failed = fsync(folder) != 0 && errno != EINVAL && errno != EROFS;
  const lamina_status status = failed ? io_error(file->path, "can't be synced with its folder") : LAMINA_OK;
  close(folder);
  return status;
}

lamina_status lamina_file_commit(lamina_file *file) {
  flush(file);
  lamina_status status = LAMINA_OK;
  if (file->temporary && !file->error && fsync(file->descriptor) != 0) file->error = errno;
  if (!file->temporary && close(file->descriptor) != 0 && !file->error) file->error = errno; /* a pipe tells it late */
  if (!file->temporary) file->descriptor = -1;
  if (file->temporary && !file->error && rename(file->temporary, file->path) != 0) file->error = errno;
  if (file->error) {
    if (file->temporary) unlink(file->temporary);
    errno = file->error;
    status = io_error(file->path, "can't be written");
  } else if (file->temporary)
    status = sync_folder(file);
  close_file(file);
  return status;
}

void lamina_file_abandon(lamina_file *file) {
  if (file->temporary) unlink(file->temporary);
  close_file(file);
}

lamina_status lamina_file_write_whole(const char *path, const void *data, size_t size,
                                      const lamina_allocator *allocator) {
  lamina_file file;
  LAMINA_TRY(lamina_file_create(path, allocator, &file));
  lamina_file_write(&file, data, size);
  return lamina_file_commit(&file);
}

/* ---- Tensors as rows of bytes --------------------------------------------------------------------------------------
 */

lamina_status lamina_check_host_tensor(const char *name, const lamina_tensor *tensor) {
  const lamina_desc *desc = &tensor->desc;
  char text[160];
  if (!lamina_dtype_size((lamina_dtype)desc->dtype))
    return lamina_error(LAMINA_INVALID, "%s: the tensor has no element type", name);
  if (desc->layout < 0 || lamina_desc_count(desc) < 0 || lamina_desc_bytes(desc) < 0)
    return lamina_error(LAMINA_INVALID, "%s: %s is no tensor that memory can hold", name,
                        lamina_desc_text(desc, text, sizeof text));
  if (tensor->memory == LAMINA_MEMORY_DEVICE)
    return lamina_error(LAMINA_INVALID, "%s: the tensor is in a device's memory; copy it to the host first", name);
  if (!tensor->data && lamina_desc_count(desc) > 0)
    return lamina_error(LAMINA_INVALID, "%s: the tensor has no data", name);
  return LAMINA_OK;
}

void lamina_put_tensor(const lamina_tensor *tensor, lamina_dtype dtype, lamina_put_fn *put, void *context) {
  const lamina_desc *desc = &tensor->desc;
  const lamina_dtype from = (lamina_dtype)desc->dtype;
  const int64_t count = lamina_desc_count(desc);
  if (from == dtype && lamina_desc_is_dense(desc)) {
    put(context, tensor->data, (size_t)count * lamina_dtype_size(dtype));
    return;
  }
  const size_t size = lamina_dtype_size(dtype);
  double run[512]; /* room for 512 elements of any type, aligned for all */
  int64_t index[LAMINA_MAX_RANK] = {0}, offset = 0, used = 0;
  for (int64_t i = 0; i < count; i++) {
    if (from == dtype)
      memcpy((char *)run + (size_t)used * size, (const char *)tensor->data + offset * (int64_t)size, size);
    else
      lamina_store(dtype, run, used, lamina_load(from, tensor->data, offset));
    if (++used == (int64_t)LAMINA_COUNT_OF(run)) put(context, run, (size_t)used * size), used = 0;
    if (desc->layout) { /* in blocks, the steps along an axis differ */
      offset = i + 1 < count ? lamina_desc_offset(desc, i + 1) : 0;
      continue;
    }
    for (int axis = desc->rank - 1; axis >= 0; axis--) { /* the next element, last axis first */
      offset += desc->strides[axis];
      if (++index[axis] < desc->dims[axis]) break;
      offset -= desc->dims[axis] * desc->strides[axis];
      index[axis] = 0;
    }
  }
  if (used) put(context, run, (size_t)used * size);
}
