/* Input files, plain or gzip (RFC 1952, through zlib's inflate). */
#include "data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { INPUT = 64 * 1024 };

struct lamina_unpacker {
  z_stream z;
  bool ended;      /* at the end of a gzip member */
  int64_t fetched; /* bytes read from the file */
  unsigned char input[INPUT];
};

static lamina_status read_error(const char *path) {
  return lamina_error(LAMINA_IO, "%s: reading failed: %s", path, strerror(errno));
}

/* read(2) until n bytes have come or the file ends. */
static lamina_status read_fully(const lamina_input *file, void *to, int64_t n, int64_t *got) {
  for (*got = 0; *got < n;) {
    const ssize_t part = read(file->fd, (char *)to + *got, (size_t)(n - *got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return read_error(file->path);
    if (!part) break;
    *got += part;
  }
  return LAMINA_OK;
}

lamina_status lamina_input_read_at(int fd, const char *path, int64_t offset, void *to, int64_t n) {
  for (int64_t got = 0; got < n;) {
    const ssize_t part = pread(fd, (char *)to + got, (size_t)(n - got), offset + got);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return read_error(path);
    if (!part)
      return lamina_error(LAMINA_IO, "%s: has become shorter while it was in use: nothing at byte %lld any more", path,
                          (long long)(offset + got));
    got += part;
  }
  return LAMINA_OK;
}

static void *unpacker_alloc(void *allocator, unsigned items, unsigned size) {
  return lamina_alloc(allocator, (size_t)items * size);
}

static void unpacker_free(void *allocator, void *memory) { lamina_free(allocator, memory); }

static lamina_status open_unpacker(lamina_input *file) {
  lamina_unpacker *unpacker = lamina_alloc_zero(file->allocator, sizeof *unpacker);
  if (!unpacker) return LAMINA_OUT_OF_MEMORY;
  unpacker->z.zalloc = unpacker_alloc;
  unpacker->z.zfree = unpacker_free;
  unpacker->z.opaque = (void *)(uintptr_t)file->allocator;
  if (inflateInit2(&unpacker->z, 15 + 16) != Z_OK) { /* 16: with gzip's header and CRC */
    lamina_free(file->allocator, unpacker);
    return lamina_error(LAMINA_OUT_OF_MEMORY, "%s: no memory to unpack it", file->path);
  }
  file->unpacker = unpacker;
  /* A deflate block of 258-byte matches at one bit for length and distance each: 1032 to 1. */
  file->most = file->size > INT64_MAX / 1032 ? INT64_MAX : file->size * 1032;
  return LAMINA_OK;
}

lamina_status lamina_input_open(const char *path, const lamina_allocator *allocator, lamina_input *file) {
  *file = (lamina_input){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .allocator = allocator};
  if (file->fd < 0) return lamina_error(LAMINA_IO, "%s: cannot be opened: %s", path, strerror(errno));
  struct stat about;
  lamina_status status = LAMINA_OK;
  if (fstat(file->fd, &about))
    status = read_error(path);
  else if (!S_ISREG(about.st_mode))
    status = lamina_error(LAMINA_IO, "%s: is no regular file", path);
  else {
    file->size = file->most = about.st_size;
    unsigned char magic[2] = {0};
    if (file->size >= 2) status = lamina_input_read_at(file->fd, path, 0, magic, 2);
    if (!status && magic[0] == 0x1f && magic[1] == 0x8b) status = open_unpacker(file);
  }
  if (status) lamina_input_close(file);
  return status;
}

void lamina_input_close(lamina_input *file) {
  if (file->unpacker) {
    inflateEnd(&file->unpacker->z);
    lamina_free(file->allocator, file->unpacker);
  }
  if (file->fd >= 0) close(file->fd);
  file->unpacker = NULL;
  file->fd = -1;
}

/* Refills the input; at the file's end *more is false. */
static lamina_status fetch(lamina_input *file, bool *more) {
  lamina_unpacker *unpacker = file->unpacker;
  int64_t got;
  LAMINA_TRY(read_fully(file, unpacker->input, INPUT, &got));
  unpacker->z.next_in = unpacker->input;
  unpacker->z.avail_in = (unsigned)got;
  unpacker->fetched += got;
  *more = got > 0;
  return LAMINA_OK;
}

static lamina_status inflate_error(const lamina_input *file, int code) {
  const lamina_unpacker *unpacker = file->unpacker;
  if (code == Z_MEM_ERROR) return lamina_error(LAMINA_OUT_OF_MEMORY, "%s: no memory to unpack it", file->path);
  return lamina_error(LAMINA_CORRUPT, "%s: its gzip data is damaged at or before byte %lld: %s", file->path,
                      (long long)(unpacker->fetched - unpacker->z.avail_in),
                      unpacker->z.msg ? unpacker->z.msg : "it doesn't unpack");
}

lamina_status lamina_input_read(lamina_input *file, void *to, int64_t n, int64_t *got) {
  if (!file->unpacker) return read_fully(file, to, n, got);
  lamina_unpacker *unpacker = file->unpacker;
  z_stream *z = &unpacker->z;
  for (*got = 0; *got < n;) {
    bool more = true;
    if (!z->avail_in) LAMINA_TRY(fetch(file, &more));
    if (!more && unpacker->ended) break;
    if (!more)
      return lamina_error(LAMINA_CORRUPT, "%s: its gzip data is cut short: it ends after %lld bytes", file->path,
                          (long long)file->size);
    if (unpacker->ended) { /* a further member may follow; anything else has no gzip header and fails */
      unpacker->ended = false;
      inflateReset(z);
    }
    const int64_t room = n - *got < INT32_MAX ? n - *got : INT32_MAX;
    z->next_out = (unsigned char *)to + *got;
    z->avail_out = (unsigned)room;
    const int code = inflate(z, Z_NO_FLUSH);
    *got += room - z->avail_out;
    if (code == Z_STREAM_END)
      unpacker->ended = true;
    else if (code != Z_OK && code != Z_BUF_ERROR)
      return inflate_error(file, code);
  }
  return LAMINA_OK;
}
