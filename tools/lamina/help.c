#include "help.h"

const char help_train[] =
    "RECIPE is a YAML file, or the name of one in recipes/: digits and xo need no files. Relative\n"
    "data files are looked for under $LAMINA_DATA. DIR (default runs/NAME) gets\n"
    "  checkpoint.safetensors   after every epoch, and when the training ends or is stopped\n"
    "  metrics.jsonl            loss, rate, accuracies and speed, a JSON object a line; with train.clip_norm,\n"
    "                           grad_norm, too, what all gradients together had before they were clipped\n"
    "  loss.svg                 the same as a picture\n"
    "  recipe.yaml              the recipe after --set\n"
    "A checkpoint of an earlier run in DIR becomes previous.safetensors.\n"
    "\n"
    "Ctrl-C finishes the step, saves and exits with 130; pressed twice it stops at once. --resume goes\n"
    "on from DIR as if it had never stopped; RECIPE may be left out then.\n"
    "\n"
    "  lamina train digits\n"
    "  lamina train lenet5-mnist --epochs 3 --set train.rate.cosine=0.02 --out runs/short\n"
    "  lamina train digits --set train.clip_norm=1\n"
    "  lamina train --out runs/short --resume\n";

const char help_eval[] = "CHECKPOINT is what lamina train wrote, or its folder. SPEC is other data, as in a recipe:\n"
                         "\"idx:PREFIX\", \"digits:test,count=500\"; it is normalised as the recipe says.\n"
                         "\n"
                         "  lamina eval runs/digits\n"
                         "  lamina eval runs/lenet5-mnist/checkpoint.safetensors --data idx:mnist/t10k --json\n";

const char help_predict[] =
    "FILE is a picture (PNG or PGM) of the size that the network was trained on. A line each:\n"
    "the file, the class, its probability, the runners-up. A file that can't be read is said on standard\n"
    "error, the rest is done, and the exit code is 1.\n"
    "\n"
    "  lamina predict runs/digits seven.pgm three.pgm\n";

const char help_op[] =
    "Tensors and attributes have the names of the op's row; lamina info OP lists them.\n"
    "  x=2x3x5x7                     a shape, filled with normal numbers of seed=N\n"
    "  x=2x3x5x7/120,40,8,1+3:bf16   with strides, elements past a 64-byte boundary, and type\n"
    "  x=2x32x5x7_1x16  w=…_1x16_0x16  in blocks: of 16 along axis 1; of 16 there, within them 16 along axis 0\n"
    "  x=pictures.npy  y=out.npy     files: read for an input, written for an output\n"
    "  y=@x                          in the memory of x, where the op allows it\n"
    "  pad=2,2  pad=0:1,2:2  pad=2   for each spatial axis; before:after; the same for every axis\n"
    "  dtype=f64|f32|f16|bf16        of all that isn't an integer; default: the file's, f32 for a shape\n"
    "  fill=exact                    small integers, for which any order of sums gives the same bits\n"
    "Files may hold f2, f4, f8, i4, i8 and u1; bf16 outputs are written as f4. Outputs whose shape follows\n"
    "need not be given. What is in and out (w of sgd/update) is read from its file and written by --write.\n"
    "\n"
    "  lamina op conv/forward x=x.npy w=w.npy y=y.npy pad=2 stride=2 --explain\n"
    "  lamina op max_pool/forward x=1x1x4x4 kernel=2 indices=where.npy\n"
    "  lamina op sgd/update w=w.npy g=g.npy rate=rate.npy --write w=new.npy\n";

const char help_verify[] =
    "Without tensors: generated cases of each op (all ops, or those named; \"conv\" means all of conv), with\n"
    "odd shapes and strides, in normal numbers and, where that can be, in small integers for which every\n"
    "bit must be right. With tensors: that one case, written as for lamina op. Every run is done twice on\n"
    "memory poisoned in two ways, with red zones around each tensor. \"worst\" is the greatest error as a\n"
    "share of what is allowed. A line that repeats the case follows each failure; the exit code is 1 then.\n"
    "\n"
    "  lamina verify\n"
    "  lamina verify conv fc/forward --cases 100 --seed 7 dtype=bf16\n"
    "  lamina verify conv/forward x=2x3x9x9 w=4x3x3x3 pad=1 --engine onednn\n"
    "  lamina verify conv/forward --plugin ./my_conv.so --engine mine\n";

const char help_bench[] =
    "Tensors and attributes have the names of the op's row; lamina info OP lists them.\n"
    "  x=2x3x5x7                     a shape, filled with normal numbers of seed=N\n"
    "  x=2x3x5x7/120,40,8,1+3:bf16   with strides, elements past a 64-byte boundary, and type\n"
    "  x=2x32x5x7_1x16  w=…_1x16_0x16  in blocks: of 16 along axis 1; of 16 there, within them 16 along axis 0\n"
    "  pad=2,2  pad=0:1,2:2  pad=2   for each spatial axis; before:after; the same for every axis\n"
    "  dtype=f32|bf16                of all that isn't an integer\n"
    "The candidates take turns until each has been timed for T seconds, by the device's own clock; time is\n"
    "the median, spread half the distance between the quartiles. The cache of a GPU is emptied before every\n"
    "run, unless with --warm; a CPU's stay warm. GFLOP/s count the direct algorithm's work,\n"
    "GB/s every tensor once, what is in and out twice; * marks what is chosen by itself. \"checked\" tells how\n"
    "the result was held against the oracle: \"exact\" every bit, with small integers; \"full\" every element;\n"
    "\"sample\" chosen ones, where the oracle takes long.\n"
    "\n"
    "The bound is the least time for the work: operations at the rate of the device's best large product of\n"
    "that type (on the CPU, or of multiply-adds in registers), or bytes at the rate of its best large copy,\n"
    "whichever takes longer. Both are measured first; results pass 100% by as much as these fall short.\n"
    "\n"
    "A file has a problem a line, as written here, and comments after #; one behind a problem is its name.\n"
    "bench/shapes/ has AlexNet, ResNet-50, DeepBench, products, and all that memory binds. All of it may take\n"
    "T seconds then, shared by the problems that are left; what it isn't enough for is said, and 0 runs all\n"
    "as briefly as can be. Candidates that are far behind by their estimates are left out.\n"
    "\n"
    "--compare takes two files of --json, A and B. B is faster or slower where the medians differ by more than\n"
    "1% and the middle halves of the samples, median ± spread, don't overlap; else the same. The exit code is\n"
    "1 where something is slower or wrong.\n"
    "\n"
    "  lamina bench conv/forward x=64x6x14x14 w=16x6x5x5\n"
    "  lamina bench fc/forward x=128x9216 w=4096x9216 b=4096 dtype=bf16 --seconds 1\n"
    "  lamina bench --shapes bench/shapes/alexnet.txt --filter conv/ --dtype bf16 --seconds 60 --json b.json\n"
    "  lamina bench --compare a.json b.json\n";

const char help_info[] =
    "Of a network: its layers with shapes, parameters and work, and the memory that it takes. Of an op,\n"
    "\"conv/forward\", or a family of them, \"conv\": its arguments and attributes, by the names that lamina\n"
    "op takes. Without a word: version, device, how numbers are rounded, and with --engines what runs\n"
    "each op.\n"
    "\n"
    "  lamina info lenet5-mnist --batch 128 --engines\n"
    "  lamina info conv/backward_data\n";
