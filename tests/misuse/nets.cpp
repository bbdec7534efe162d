// Nets and training: calls that a program must not make.
#include "misuse/world.h"

// ---- Nets ------------------------------------------------------------------------------------------------------------

WITHOUT(lamina_net_open, "device", nullptr, nullptr, &a_net)
WITHOUT(lamina_net_open, "options", w.device, nullptr, &a_net)
BAD(lamina_net_open, "rank 9", INVALID, "9 axes") {
  lamina_net_options o = {};
  o.rank = 9;
  return lamina_net_open(w.device, &o, &a_net);
}
BAD(lamina_net_open, "rank -1", INVALID, "-1 axes") {
  lamina_net_options o = {};
  o.rank = -1;
  return lamina_net_open(w.device, &o, &a_net);
}
BAD(lamina_net_open, "an axis of 0", INVALID, "axis 1") {
  lamina_net_options o = {};
  o.rank = 2;
  o.dims[0] = 3;
  return lamina_net_open(w.device, &o, &a_net);
}
BAD(lamina_net_open, "axes of 2^40", INVALID, "input overflows") {
  lamina_net_options o = {};
  o.rank = 2;
  o.dims[0] = o.dims[1] = HUGE_SIZE;
  return lamina_net_open(w.device, &o, &a_net);
}
BAD(lamina_net_open, "integers", INVALID, "dtype i32") {
  lamina_net_options o = {};
  o.rank = 1;
  o.dims[0] = 3;
  o.dtype = LAMINA_I32;
  return lamina_net_open(w.device, &o, &a_net);
}
BAD(lamina_net_open, "math 99", INVALID, "math 99") {
  lamina_net_options o = {};
  o.rank = 1;
  o.dims[0] = 3;
  o.math = static_cast<lamina_math>(99);
  return lamina_net_open(w.device, &o, &a_net);
}

WITHOUT(lamina_net_add, "kind", w.bare, nullptr, nullptr)
BAD(lamina_net_add, "an unknown kind", INVALID, "\"convv\"") { return lamina_net_add(w.bare, "convv", nullptr); }
BAD(lamina_net_add, "filters 2^40", INVALID, "0.conv") {
  lamina_conv_layer l = {};
  l.filters = HUGE_SIZE;
  l.kernel[0] = 3;
  l.groups = 7;
  return lamina_net_add(w.bare, "conv", &l);
}
BAD(lamina_net_add, "a kernel of -3", INVALID, "kernel is -3") {
  lamina_conv_layer l = {};
  l.filters = 1;
  l.kernel[0] = -3;
  return lamina_net_add(w.bare, "conv", &l);
}
BAD(lamina_net_add, "under a trainer", INVALID, "trainer") { return lamina_net_add(w.net, "relu", nullptr); }

BAD(lamina_net_add_layer, "an unknown layer before", INVALID, "\"nobody\"") {
  const char *from[] = {"nobody", nullptr};
  lamina_layer_options o = {};
  o.from = from;
  return lamina_net_add_layer(w.bare, "relu", nullptr, &o);
}

WITHOUT(lamina_net_load, "device", nullptr, "x.yaml", nullptr, &a_net)
WITHOUT(lamina_net_load, "path", w.device, nullptr, nullptr, &a_net)
BAD(lamina_net_load, "no file", IO, "none.yaml") {
  return lamina_net_load(w.device, w.file("none.yaml").c_str(), nullptr, &a_net);
}

WITHOUT(lamina_net_save, "path", w.net, nullptr)
BAD(lamina_net_save, "no folder", IO, "none/net") { return lamina_net_save(w.net, w.file("none/net").c_str()); }

WITHOUT(lamina_net_layer, "info", w.net, 0, 1, nullptr)
BAD(lamina_net_layer, "layer 2", INVALID, "there is no layer 2") {
  lamina_layer_info i;
  return lamina_net_layer(w.net, 2, 1, &i);
}
BAD(lamina_net_layer, "layer -1", INVALID, "there is no layer -1") {
  lamina_layer_info i;
  return lamina_net_layer(w.net, -1, 1, &i);
}
BAD(lamina_net_layer, "batch 0", INVALID, "batch of 0") {
  lamina_layer_info i;
  return lamina_net_layer(w.net, 0, 0, &i);
}

WITHOUT(lamina_net_summary, "text", w.net, 1, nullptr)
BAD(lamina_net_summary, "batch -1", INVALID, "batch of -1") { return lamina_net_summary(w.net, -1, &text); }

BAD(lamina_net_explain, "batch 2^60", INVALID, "batch of 1152921504606846976", "overflows") {
  return lamina_net_explain(w.net, int64_t(1) << 60, false, &text);
}

WITHOUT(lamina_net_memory, "need", w.net, 1, nullptr)
BAD(lamina_net_memory, "no layers", INVALID, "no layers") {
  lamina_memory_need n;
  return lamina_net_memory(w.bare, 1, &n);
}
BAD(lamina_net_memory, "batch -2^63", INVALID, "batch of -9223372036854775808") {
  lamina_memory_need n;
  return lamina_net_memory(w.net, INT64_MIN, &n);
}

WITHOUT(lamina_net_parameter, "parameter", w.net, 0, nullptr)
BAD(lamina_net_parameter, "parameter 4", INVALID, "there is no parameter 4") {
  lamina_parameter p;
  return lamina_net_parameter(w.net, 4, &p);
}

WITHOUT(lamina_net_init, "net", nullptr, 1)

WITHOUT(lamina_net_trace, "net", nullptr, nullptr, nullptr)

WITHOUT(lamina_net_parameter_read, "to", w.net, 0, nullptr)
BAD(lamina_net_parameter_read, "parameter -1", INVALID, "there is no parameter -1") {
  return lamina_net_parameter_read(w.net, -1, w.numbers);
}

WITHOUT(lamina_net_parameter_write, "from", w.net, 0, nullptr)
BAD(lamina_net_parameter_write, "parameter 99", INVALID, "there is no parameter 99") {
  return lamina_net_parameter_write(w.net, 99, w.numbers);
}

BAD(lamina_net_gradient_read, "before there are any", INVALID, "has no gradients") {
  return lamina_net_gradient_read(w.net, 0, w.numbers);
}

WITHOUT(lamina_net_forward, "x", w.net, 1, nullptr, w.numbers)
WITHOUT(lamina_net_forward, "y", w.net, 1, w.numbers, nullptr)
BAD(lamina_net_forward, "-1 examples", INVALID, "batch of -1") {
  return lamina_net_forward(w.net, -1, w.numbers, w.numbers + 512);
}
BAD(lamina_net_forward, "2^40 examples", OUT_OF_MEMORY, "1099511627776") {
  return lamina_net_forward(w.net, HUGE_SIZE, w.numbers, w.numbers + 512);
}
BAD(lamina_net_forward, "no layers", INVALID, "no layers") {
  return lamina_net_forward(w.bare, 1, w.numbers, w.numbers + 512);
}

WITHOUT(lamina_net_predict, "prob", w.net, 1, w.numbers, nullptr)
BAD(lamina_net_predict, "-1 examples", INVALID, "n is -1") {
  return lamina_net_predict(w.net, -1, w.numbers, w.numbers + 512);
}
BAD(lamina_net_predict, "2^62 examples", INVALID, "n is 4611686018427387904") {
  return lamina_net_predict(w.net, int64_t(1) << 62, w.numbers, w.numbers + 512);
}

WITHOUT(lamina_net_picture, "image", w.net, nullptr, w.numbers)
BAD(lamina_net_picture, "no pixels", INVALID, "image.x is NULL") {
  return lamina_net_picture(w.net, &an_image, w.numbers);
}
BAD(lamina_net_picture, "2^40 rows", INVALID, "1099511627776 rows") {
  const lamina_image i = {1, HUGE_SIZE, HUGE_SIZE, w.numbers};
  return lamina_net_picture(w.net, &i, w.numbers);
}

WITHOUT(lamina_net_gradients, "labels", w.net, nullptr, 1, w.numbers, nullptr, 1, 0, nullptr)
BAD(lamina_net_gradients, "an unknown loss", INVALID, "\"magic\"") {
  double loss;
  return lamina_net_gradients(w.net, "magic", 1, w.numbers, w.labels, 1, 0, &loss);
}
BAD(lamina_net_gradients, "step -1", INVALID, "step is -1") {
  double loss;
  return lamina_net_gradients(w.net, nullptr, 1, w.numbers, w.labels, 1, -1, &loss);
}
BAD(lamina_net_gradients, "0 examples", INVALID, "batch of 0") {
  double loss;
  return lamina_net_gradients(w.net, nullptr, 0, w.numbers, w.labels, 1, 0, &loss);
}

// ---- Training --------------------------------------------------------------------------------------------------------

WITHOUT(lamina_trainer_open, "net", nullptr, nullptr, &a_trainer)
WITHOUT(lamina_trainer_open, "trainer", w.net, nullptr, nullptr)
BAD(lamina_trainer_open, "a second one", INVALID, "has a trainer already") {
  return lamina_trainer_open(w.net, nullptr, &a_trainer);
}
BAD(lamina_trainer_open, "no data", INVALID, "training data") {
  return lamina_trainer_open(w.bare, nullptr, &a_trainer);
}
BAD(lamina_trainer_open, "batch -1", INVALID, "batch of -1") {
  lamina_training t = {};
  t.train = w.data;
  t.batch = -1;
  return lamina_trainer_open(w.bare, &t, &a_trainer);
}
BAD(lamina_trainer_open, "an unknown optimizer", INVALID, "\"sgdd\"") {
  lamina_training t = {};
  t.train = w.data;
  t.optimizer = "sgdd";
  return lamina_trainer_open(w.bare, &t, &a_trainer);
}
BAD(lamina_trainer_open, "clipping to no number", INVALID, "clip_norm is nan") {
  lamina_training t = {};
  t.train = w.data;
  t.clip_norm = NAN;
  return lamina_trainer_open(w.bare, &t, &a_trainer);
}
BAD(lamina_trainer_open, "clipping to infinity", INVALID, "clip_value is inf") {
  lamina_training t = {};
  t.train = w.data;
  t.clip_value = INFINITY;
  return lamina_trainer_open(w.bare, &t, &a_trainer);
}
BAD(lamina_trainer_open, "a rate that is none", INVALID, "rate") {
  lamina_training t = {};
  t.train = w.data;
  t.rate.rate = NAN;
  return lamina_trainer_open(w.bare, &t, &a_trainer);
}
BAD(lamina_trainer_open, "a kind of rate 99", INVALID, "rate", "99") {
  lamina_training t = {};
  t.train = w.data;
  t.rate.rate = 1;
  t.rate.kind = 99;
  return lamina_trainer_open(w.bare, &t, &a_trainer);
}

WITHOUT(lamina_trainer_step, "trainer", nullptr)

WITHOUT(lamina_trainer_step_on, "trainer", nullptr, w.numbers, w.labels)
WITHOUT(lamina_trainer_step_on, "labels", w.trainer, w.numbers, nullptr)
BAD(lamina_trainer_step_on, "a label that is no class", INVALID, "label 1 of the batch is 2", "0 to 1") {
  const int32_t labels[4] = {1, 2, 0, -1};
  return lamina_trainer_step_on(w.trainer, w.numbers, labels);
}

WITHOUT(lamina_trainer_run, "trainer", nullptr)

WITHOUT(lamina_trainer_save, "path", w.trainer, nullptr)
BAD(lamina_trainer_save, "no folder", IO, "none/x") { return lamina_trainer_save(w.trainer, w.file("none/x").c_str()); }

WITHOUT(lamina_trainer_resume, "path", w.trainer, nullptr)
BAD(lamina_trainer_resume, "no checkpoint", CORRUPT, "text.txt") {
  return lamina_trainer_resume(w.trainer, w.file("text.txt").c_str());
}

WITHOUT(lamina_net_evaluate, "dataset", w.net, nullptr, nullptr, 0, 0, nullptr)
WITHOUT(lamina_net_evaluate, "evaluation", w.net, w.data, nullptr, 0, 0, nullptr)
BAD(lamina_net_evaluate, "other pictures", INVALID, "28 rows") {
  lamina_evaluation e;
  return lamina_net_evaluate(w.net, w.digits, nullptr, 0, 0, &e);
}
BAD(lamina_net_evaluate, "batch -1", INVALID, "batch") {
  lamina_evaluation e;
  return lamina_net_evaluate(w.net, w.data, nullptr, -1, 0, &e);
}

WITHOUT(lamina_net_confusion, "counts", w.net, w.data, 0, nullptr)
BAD(lamina_net_confusion, "other pictures", INVALID, "28 rows") {
  int64_t n[4];
  return lamina_net_confusion(w.net, w.digits, 0, n);
}
BAD(lamina_net_confusion, "batch -1", INVALID, "batch") {
  int64_t n[4];
  return lamina_net_confusion(w.net, w.data, -1, n);
}

WITHOUT(lamina_net_class_weights, "weights", w.net, 2, nullptr)
BAD(lamina_net_class_weights, "under a trainer", INVALID, "trainer") {
  return lamina_net_class_weights(w.net, 2, w.numbers);
}
BAD(lamina_net_class_weights, "-1 weights", INVALID, "-1 class weights") {
  return lamina_net_class_weights(w.bare, -1, w.numbers);
}

BAD(lamina_net_data, "no recipe", INVALID, "no recipe") {
  const lamina_dataset *d;
  return lamina_net_data(w.net, &d, nullptr);
}

WITHOUT(lamina_training_memory, "need", w.net, nullptr, nullptr)
BAD(lamina_training_memory, "epochs -1", INVALID, "-1 epochs") {
  lamina_training t = {};
  t.train = w.data;
  t.epochs = -1;
  lamina_memory_need n;
  return lamina_training_memory(w.net, &t, &n);
}
