// Data and files: calls that a program must not make.
#include "misuse/world.h"

// ---- Data ------------------------------------------------------------------------------------------------------------

WITHOUT(lamina_dataset_open, "spec", nullptr, nullptr, &a_dataset)
WITHOUT(lamina_dataset_open, "dataset", "xo:train", nullptr, nullptr)
BAD(lamina_dataset_open, "an unknown kind", INVALID, "digit") {
  return lamina_dataset_open("digit:train", nullptr, &a_dataset);
}
BAD(lamina_dataset_open, "half an allocator", INVALID, "allocator has no function free") {
  lamina_dataset_options o = {};
  o.allocator = &no_free;
  return lamina_dataset_open("xo:train", &o, &a_dataset);
}
BAD(lamina_dataset_open, "-1 means", INVALID, "-1 means") {
  lamina_dataset_options o = {};
  o.normalise.means = -1;
  return lamina_dataset_open("xo:train", &o, &a_dataset);
}

WITHOUT(lamina_dataset_wrap, "source", nullptr, nullptr, &a_dataset)
BAD(lamina_dataset_wrap, "no read", INVALID, "source.read is NULL") {
  lamina_source s = {};
  s.info.name = "mine";
  return lamina_dataset_wrap(&s, nullptr, &a_dataset);
}
BAD(lamina_dataset_wrap, "2^40 rows and columns", INVALID, "mine", "too large") {
  lamina_source s = {};
  s.info = {"mine", 1, 1, HUGE_SIZE, HUGE_SIZE, 1, 0, 0, nullptr};
  s.read = [](void *, int64_t, float *, int32_t *) { return LAMINA_OK; };
  return lamina_dataset_wrap(&s, nullptr, &a_dataset);
}
BAD(lamina_dataset_wrap, "-1 examples", INVALID, "mine", "count is -1") {
  lamina_source s = {};
  s.info = {"mine", -1, 1, 1, 1, 1, 0, 0, nullptr};
  s.read = [](void *, int64_t, float *, int32_t *) { return LAMINA_OK; };
  return lamina_dataset_wrap(&s, nullptr, &a_dataset);
}

WITHOUT(lamina_dataset_read, "index", w.data, 1, nullptr, w.numbers, w.labels)
BAD(lamina_dataset_read, "example 60", INVALID, "example 60") {
  const int64_t at = 60;
  return lamina_dataset_read(w.data, 1, &at, w.numbers, w.labels);
}
BAD(lamina_dataset_read, "-1 examples", INVALID, "n is -1") {
  const int64_t at = 0;
  return lamina_dataset_read(w.data, -1, &at, w.numbers, w.labels);
}

BAD(lamina_dataset_check_classes, "-1 classes", INVALID, "2 classes", "-1") {
  return lamina_dataset_check_classes(w.data, -1);
}

BAD(lamina_normalise, "-1 pictures", INVALID, "n is -1") {
  const lamina_normalisation n = {};
  return lamina_normalise(&n, -1, 1, 1, w.numbers);
}
BAD(lamina_normalise, "2^120 values", INVALID, "plane 1099511627776") {
  const lamina_normalisation n = {};
  return lamina_normalise(&n, HUGE_SIZE, HUGE_SIZE, HUGE_SIZE, w.numbers);
}

WITHOUT(lamina_loader_open, "dataset", nullptr, nullptr, &a_loader)
WITHOUT(lamina_loader_open, "options", w.data, nullptr, &a_loader)
BAD(lamina_loader_open, "batch 0", INVALID, "batch is 0") {
  const lamina_loader_options o = {};
  return lamina_loader_open(w.data, &o, &a_loader);
}
BAD(lamina_loader_open, "batch 2^40", INVALID, "a batch of 1099511627776") {
  lamina_loader_options o = {};
  o.batch = HUGE_SIZE;
  return lamina_loader_open(w.data, &o, &a_loader);
}
BAD(lamina_loader_open, "threads -1", INVALID, "threads -1") {
  lamina_loader_options o = {};
  o.batch = 1;
  o.threads = -1;
  return lamina_loader_open(w.data, &o, &a_loader);
}
BAD(lamina_loader_open, "half an allocator for buffers", INVALID, "allocator has no function free") {
  lamina_loader_options o = {};
  o.batch = 1;
  o.buffers = &no_free;
  return lamina_loader_open(w.data, &o, &a_loader);
}

WITHOUT(lamina_loader_next, "batch", w.loader, nullptr)

BAD(lamina_loader_seek, "batch 2^40", INVALID, "batch 1099511627776") {
  return lamina_loader_seek(w.loader, 0, HUGE_SIZE);
}
BAD(lamina_loader_seek, "epoch -1", INVALID, "epoch -1") { return lamina_loader_seek(w.loader, -1, 0); }

WITHOUT(lamina_image_read, "path", nullptr, nullptr, &an_image)
BAD(lamina_image_read, "no picture", UNSUPPORTED, "text.txt") {
  return lamina_image_read(w.file("text.txt").c_str(), nullptr, &an_image);
}

// ---- Files -----------------------------------------------------------------------------------------------------------

WITHOUT(lamina_npy_read, "path", nullptr, nullptr, &a_tensor)
WITHOUT(lamina_npy_read, "tensor", "x.npy", nullptr, nullptr)
BAD(lamina_npy_read, "half an allocator", INVALID, "allocator has no function free") {
  return lamina_npy_read(w.file("x.npy").c_str(), &no_free, &a_tensor);
}

WITHOUT(lamina_npy_write, "tensor", "x.npy", nullptr, nullptr)
BAD(lamina_npy_write, "rank 9", INVALID, "y.npy") {
  w.x.desc.rank = 9;
  return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);
}
BAD(lamina_npy_write, "no data", INVALID, "no data") {
  w.x.data = nullptr;
  return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);
}
BAD(lamina_npy_write, "a device's memory", INVALID, "device's memory") {
  w.x.memory = LAMINA_MEMORY_DEVICE;
  return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);
}
BAD(lamina_npy_write, "type 99", INVALID, "no element type") {
  w.x.desc.dtype = 99;
  return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);
}

WITHOUT(lamina_safetensors_create, "path", nullptr, nullptr, &a_writer)
BAD(lamina_safetensors_create, "no folder", IO, "none/x") {
  return lamina_safetensors_create(w.file("none/x").c_str(), nullptr, &a_writer);
}

WITHOUT(lamina_safetensors_add, "name", w.writer, nullptr, &w.x)
WITHOUT(lamina_safetensors_add, "tensor", w.writer, "x", nullptr)
BAD(lamina_safetensors_add, "a name that is taken", INVALID, "\"there\"") {
  return lamina_safetensors_add(w.writer, "there", &w.x);
}
BAD(lamina_safetensors_add, "rank -3", INVALID, "odd") {
  w.x.desc.rank = -3;
  return lamina_safetensors_add(w.writer, "odd", &w.x);
}

WITHOUT(lamina_safetensors_note, "value", w.writer, "key", nullptr)
BAD(lamina_safetensors_note, "a key that is taken", INVALID, "\"there\"") {
  return lamina_safetensors_note(w.writer, "there", "again");
}

WITHOUT(lamina_safetensors_commit, "writer", nullptr)

WITHOUT(lamina_safetensors_open, "path", nullptr, nullptr, &a_file)
BAD(lamina_safetensors_open, "no such format", CORRUPT, "text.txt") {
  return lamina_safetensors_open(w.file("text.txt").c_str(), nullptr, &a_file);
}

WITHOUT(lamina_safetensors_read, "to", w.tensors, 0, nullptr)
BAD(lamina_safetensors_read, "tensor 99", INVALID, "no tensor 99") {
  return lamina_safetensors_read(w.tensors, 99, &w.x);
}
BAD(lamina_safetensors_read, "another shape", INVALID, "expected") {
  return lamina_safetensors_read(w.tensors, 0, &w.x);
}

WITHOUT(lamina_chart_svg, "chart", nullptr, "x.svg", nullptr)
BAD(lamina_chart_svg, "-1 series", INVALID, "-1 series") {
  lamina_chart ch = {};
  ch.count = -1;
  return lamina_chart_svg(&ch, w.file("x.svg").c_str(), nullptr);
}
BAD(lamina_chart_svg, "-1 pixels", INVALID, "-1 by") {
  lamina_chart ch = {};
  ch.width = -1;
  return lamina_chart_svg(&ch, w.file("x.svg").c_str(), nullptr);
}
BAD(lamina_chart_svg, "a series without values", INVALID, "series 0") {
  lamina_series s = {};
  s.count = 3;
  lamina_chart ch = {};
  ch.series = &s;
  ch.count = 1;
  return lamina_chart_svg(&ch, w.file("x.svg").c_str(), nullptr);
}

WITHOUT(lamina_confusion_svg, "path", &a_matrix, nullptr, nullptr)
BAD(lamina_confusion_svg, "no counts", INVALID, "confusion") {
  return lamina_confusion_svg(&a_matrix, w.file("x.svg").c_str(), nullptr);
}

BAD(lamina_chart_text, "-1 columns", INVALID, "-1 by") {
  const lamina_chart ch = {};
  char b[64];
  return lamina_chart_text(&ch, -1, 10, false, b, sizeof b);
}
BAD(lamina_chart_text, "no room", INVALID, "buffer") {
  const lamina_chart ch = {};
  char b[8];
  return lamina_chart_text(&ch, 40, 10, false, b, sizeof b);
}

WITHOUT(lamina_json_open, "json", nullptr, nullptr)
BAD(lamina_json_open, "half an allocator", INVALID, "allocator has no function free") {
  return lamina_json_open(&no_free, &a_json);
}

WITHOUT(lamina_json_line, "line", a_json, nullptr)
WITHOUT(lamina_json_line, "json", nullptr, &text)
