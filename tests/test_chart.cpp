// Charts: what is drawn, that long or odd series stay in bounds, and that texts can't break the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <clocale>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "failing_allocator.h"
#include "lamina/io.h"
#include "temporary.h"

extern "C" {
#include "io/chart.h"
}

using testing::HasSubstr;
using testing::Not;

namespace {

const double nan_ = std::nan(""), inf_ = HUGE_VAL;

struct Chart {
  std::vector<lamina_series> series;
  lamina_chart chart = {};
  lamina_chart &operator()() {
    chart.series = series.data();
    chart.count = (int)series.size();
    return chart;
  }
  void add(const char *name, const std::vector<double> &y, bool right = false, bool smooth = false,
           const double *x = nullptr) {
    series.push_back({name, y.size(), x, y.data(), right, smooth});
  }
  std::string svg(const Temporary &folder = Temporary()) {
    EXPECT_EQ(lamina_chart_svg(&(*this)(), (folder / "x.svg").c_str(), nullptr), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(folder.count(), 1);
    return read_file(folder / "x.svg");
  }
  std::string text(int columns, int rows, bool colour = false) {
    std::vector<char> buffer((size_t)columns * (size_t)rows * (colour ? 24 : 8));
    EXPECT_EQ(lamina_chart_text(&(*this)(), columns, rows, colour, buffer.data(), buffer.size()), LAMINA_OK)
        << lamina_last_error();
    return buffer.data();
  }
  std::vector<std::string> labels(bool log) {
    chart.log_left = log;
    lamina_axes axes;
    EXPECT_EQ(lamina_chart_axes(&(*this)(), 8, 6, &axes), LAMINA_OK);
    return std::vector<std::string>(axes.left.labels, axes.left.labels + axes.left.count);
  }
};

int count(const std::string &text, const std::string &what) {
  int n = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) n++;
  return n;
}

int characters(const std::string &text) {
  int n = 0;
  for (const char c : text) n += (c & 0xC0) != 0x80;
  return n;
}

// What stands between each `before` and the next `after`. (std::regex overflows the stack on texts this long.)
std::vector<std::string> between(const std::string &text, const std::string &before, const std::string &after) {
  std::vector<std::string> found;
  for (size_t at = 0; (at = text.find(before, at)) != std::string::npos;) {
    at += before.size();
    found.push_back(text.substr(at, text.find(after, at) - at));
  }
  return found;
}

// The path data of every line.
std::vector<std::string> paths(const std::string &svg) { return between(svg, " d=\"", "\""); }

// Every tag closed, no bare & or <, no number that is none.
void expect_well_formed(const std::string &svg) {
  std::vector<std::string> open;
  for (const std::string &tag : between(svg, "<", ">")) {
    ASSERT_FALSE(tag.empty());
    const std::string name = tag.substr(0, tag.find_first_of(" \n"));
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ("/" + open.back(), tag);
      open.pop_back();
    } else if (tag.back() != '/')
      open.push_back(name);
  }
  EXPECT_TRUE(open.empty());
  for (const std::string &entity : between(svg, "&", ";")) EXPECT_THAT("amp lt gt quot", HasSubstr(entity));
  EXPECT_EQ(count(svg, "nan") + count(svg, "inf"), 0);
}

TEST(Axis, TicksAreRound) {
  const auto ticks = [](double least, double most, bool log = false) {
    const std::vector<double> y = {least, most};
    Chart c;
    c.add("y", y);
    std::string all;
    for (const std::string &label : c.labels(log)) all += (all.empty() ? "" : " ") + label;
    return all;
  };
  EXPECT_EQ(ticks(0.03, 2.31), "0 0.5 1.0 1.5 2.0 2.5");
  EXPECT_EQ(ticks(0.9621, 0.9924), "0.960 0.965 0.970 0.975 0.980 0.985 0.990 0.995");
  EXPECT_EQ(ticks(-3, 4), "-3 -2 -1 0 1 2 3 4");
  EXPECT_EQ(ticks(0, 60000), "0 10k 20k 30k 40k 50k 60k");
  EXPECT_EQ(ticks(0, 3e6), "0 0.5M 1.0M 1.5M 2.0M 2.5M 3.0M");
  EXPECT_EQ(ticks(5, 5), "4.7 4.8 4.9 5.0 5.1 5.2 5.3");
  EXPECT_EQ(ticks(0, 1e-9), "0 2e-10 4e-10 6e-10 8e-10 1e-09");
  EXPECT_EQ(ticks(0.01, 5, true), "0.01 0.02 0.05 0.1 0.2 0.5 1 2 5");
  EXPECT_EQ(ticks(1e-4, 5, true), "0.0001 0.001 0.01 0.1 1");
}

TEST(Svg, HasEverySeriesAndItsGaps) {
  const std::vector<double> loss = {3, 2, nan_, 1, 0.5, inf_, 0.25}, accuracy = {0.5, 0.9};
  const double epochs[] = {3, 6};
  Chart c;
  c.add("train loss", loss);
  c.add("test accuracy", accuracy, true, false, epochs);
  c.chart.title = "a < b & \"c\" \x01";
  c.chart.x_label = "epoch";
  c.chart.left_label = "loss";
  c.chart.right_label = "accuracy";
  const std::string svg = c.svg();
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; &quot;c&quot; \xEF\xBF\xBD"));
  for (const char *text : {"train loss", "test accuracy", ">epoch<", ">loss<", ">accuracy<", ">0.25<", ">0.9<"})
    EXPECT_THAT(svg, HasSubstr(text));
  EXPECT_EQ(count(svg, "<circle"), 7);
  const std::vector<std::string> lines = paths(svg);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(count(lines[0], "M"), 3) << "two gaps make three lines";
  EXPECT_EQ(count(lines[0], "L"), 2);
  EXPECT_EQ(count(lines[1], "M"), 1);
}

TEST(Svg, LongSeriesAreThinnedButKeepTheirPeaks) {
  std::vector<double> y(1000000, 0.5);
  y[777777] = 1;
  y[333333] = 0;
  Chart c;
  c.add("y", y);
  const std::string svg = c.svg();
  EXPECT_LE(count(svg, "L"), 4 * 960);
  EXPECT_LT(svg.size(), 100000u);
  // the peak is as high as the axis: its y is that of the highest grid line
  const std::string top = between(svg, "<line class=\"grid\"", "/>").back();
  EXPECT_THAT(paths(svg)[0], HasSubstr(" " + between(top, "y1=\"", "\"")[0] + "L"));
}

TEST(Svg, SmoothSeriesAreDrawnTwice) {
  std::vector<double> y(5000);
  for (size_t i = 0; i < y.size(); i++) y[i] = i % 2 ? 3 : 1;
  Chart c;
  c.add("y", y, false, true);
  const std::string svg = c.svg();
  EXPECT_EQ(count(svg, "<path"), 2);
  EXPECT_THAT(svg, HasSubstr("stroke-opacity=\"0.30\""));
  EXPECT_NEAR(std::stod(between(svg, "<tspan dx=\"7\">", "<")[0]), 2, 0.1) << "the mean of the last stretch, not 3";
}

TEST(Svg, OddSeriesStayInBounds) {
  const std::vector<std::vector<double>> odd = {{},
                                                {1},
                                                {nan_, nan_},
                                                {inf_, -inf_},
                                                {DBL_MAX, -DBL_MAX},
                                                {DBL_MAX, DBL_MAX},
                                                {5e-324, 0, -5e-324},
                                                {5e-324, DBL_MAX},
                                                {1, 1, 1},
                                                {-1, -2},
                                                {1e300, 1e300 * (1 + 1e-15)},
                                                {0, 0}};
  for (const bool log : {false, true})
    for (size_t j = 0; j < odd.size(); j++)
      for (const size_t i : {j, (j + 1) % odd.size(), (j + 4) % odd.size()}) {
        const size_t n = odd[j].size();
        Chart c;
        c.series.push_back({"y", std::min(odd[i].size(), n), odd[j].data(), odd[i].data(), i % 2 == 1, j % 2 == 1});
        c.chart.log_left = log;
        const std::string svg = c.svg();
        expect_well_formed(svg);
        for (std::string line : paths(svg)) {
          for (size_t at; (at = line.find("h0")) != std::string::npos;) line.erase(at, 2);
          for (char &letter : line) letter = letter == 'M' || letter == 'L' ? ' ' : letter;
          std::istringstream numbers(line);
          for (double x, y; numbers >> x >> y;)
            EXPECT_TRUE(x >= 0 && x <= 960 && y >= 0 && y <= 540) << i << " " << j << ": " << x << " " << y;
        }
        c.text(40, 8);
      }
}

TEST(Svg, NonsenseIsRefused) {
  Chart c;
  c.series.push_back({"y", 3, nullptr, nullptr, false, false});
  EXPECT_EQ(lamina_chart_svg(&c(), "/tmp/never.svg", nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "chart: series 0 (y) has no values");
  c.series.clear();
  c.chart.width = 10;
  EXPECT_EQ(lamina_chart_svg(&c(), "/tmp/never.svg", nullptr), LAMINA_INVALID);
  c.chart.width = 0;
  EXPECT_EQ(lamina_chart_svg(&c(), "/no/such/x.svg", nullptr), LAMINA_IO);
}

TEST(Svg, OutOfMemoryIsAStatus) {
  const Temporary folder;
  const std::vector<double> y = {1, 2, 3};
  Chart c;
  c.add("y", y);
  expect_out_of_memory_is_a_status(
      [&](const lamina_allocator *allocator) { return lamina_chart_svg(&c(), (folder / "x.svg").c_str(), allocator); });
}

TEST(ChartText, DrawsBraille) {
  const std::vector<double> y = {0, 1, 2, 3};
  Chart c;
  c.add("y", y);
  c.chart.title = "t";
  c.chart.x_label = "step";
  EXPECT_EQ(c.text(24, 7), "t  ━ y 3\n"
                           "4 ┤\n"
                           "  │              ⢀⣀⡠⠤⠒⠒⠉\n"
                           "2 ┤      ⢀⣀⡠⠤⠔⠒⠊⠉⠁\n"
                           "0 ┤⣀⠤⠤⠒⠊⠉⠁\n"
                           "  └┬────────────┬───────\n"
                           "   0            2  step\n");
}

TEST(ChartText, SeriesAreToldApart) {
  const std::vector<double> a = {3, 2, 1, 0}, b = {0.5, 0.6, 0.7, 0.8};
  Chart c;
  c.add("a", a);
  c.add("b", b, true);
  const std::string plain = c.text(60, 12);
  EXPECT_EQ(count(plain, "●"), 5) << "four points and the legend";
  EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
  EXPECT_EQ(count(plain, "\n"), 12);
  size_t at = 0;
  for (int row = 0; row < 12; row++) {
    const size_t end = plain.find('\n', at);
    EXPECT_LE(characters(plain.substr(at, end - at)), 60) << row;
    at = end + 1;
  }
  const std::string coloured = c.text(60, 12, true);
  EXPECT_THAT(coloured, HasSubstr("\x1b[94m"));
  EXPECT_THAT(coloured, HasSubstr("\x1b[93m"));
  EXPECT_THAT(coloured, Not(HasSubstr("●")));
  EXPECT_EQ(count(coloured, "\x1b[9"), count(coloured, "\x1b[0m"));
}

TEST(ChartText, EverySizeFitsItsBuffer) {
  std::vector<double> y(3000), r(50);
  for (size_t i = 0; i < y.size(); i++) y[i] = 1e-3 * std::sin((double)i * 0.7) + 1;
  for (size_t i = 0; i < r.size(); i++) r[i] = 1e6 * (double)i;
  Chart c;
  c.add("a long name for a series, with \x1b[31m and \xFF in it", y);
  c.add("r", r, true);
  for (const int columns : {24, 40, 72, 255, 256})
    for (const int rows : {6, 12, 63, 64})
      for (const bool colour : {false, true}) {
        const std::string text = c.text(columns, rows, colour);
        EXPECT_EQ(count(text, "\n"), rows);
        EXPECT_THAT(text, Not(HasSubstr("\x1b[31m")));
        EXPECT_THAT(text, Not(HasSubstr("\xFF")));
      }
}

TEST(ChartText, WhatDoesNotFitIsRefused) {
  Chart c;
  char buffer[64];
  EXPECT_EQ(lamina_chart_text(&c(), 72, 12, false, buffer, sizeof buffer), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "chart: a buffer of 64 bytes is too small; expected 6912");
  for (const int bad : {-1, 0, 23, 257}) EXPECT_EQ(lamina_chart_text(&c(), bad, 12, false, buffer, 64), LAMINA_INVALID);
  for (const int bad : {-1, 0, 5, 65}) EXPECT_EQ(lamina_chart_text(&c(), 72, bad, false, buffer, 64), LAMINA_INVALID);
}

// ---- Confusion matrices

std::string confusion(const std::vector<int64_t> &counts, int64_t classes, const std::vector<const char *> &names = {},
                      const char *title = nullptr) {
  Temporary folder;
  const lamina_confusion matrix = {title, names.empty() ? nullptr : names.data(), classes, counts.data()};
  EXPECT_EQ(lamina_confusion_svg(&matrix, (folder / "c.svg").c_str(), nullptr), LAMINA_OK) << lamina_last_error();
  return read_file(folder / "c.svg");
}

TEST(Confusion, CellsNamesAndCounts) {
  const std::string svg = confusion({8, 2, 0, 30}, 2, {"cat", "<dog>"}, "pets & co");
  EXPECT_THAT(svg, HasSubstr("pets &amp; co"));
  EXPECT_THAT(svg, HasSubstr("95.00 % of 40 right"));
  EXPECT_EQ(count(svg, ">cat<"), 2);
  EXPECT_EQ(count(svg, "&lt;dog&gt;"), 2);
  EXPECT_EQ(count(svg, "fill-opacity"), 3); // what never happened isn't drawn
  EXPECT_EQ(count(svg, "#2f6fed"), 2);
  EXPECT_EQ(count(svg, "#e8590c"), 1);
  for (const char *number : {">8<", ">2<", ">30<"}) EXPECT_THAT(svg, HasSubstr(number));
}

TEST(Confusion, ManyClassesStaySmall) {
  std::vector<int64_t> counts(1000 * 1000);
  for (size_t i = 0; i < 1000; i++) counts[i * 1000 + (i * 7 + 3) % 1000] = 5;
  const std::string svg = confusion(counts, 1000);
  EXPECT_EQ(count(svg, "fill-opacity"), 1000);
  EXPECT_LT(svg.size(), 200000u);
  EXPECT_THAT(svg, Not(HasSubstr(">999<")));
}

TEST(Confusion, NamesMayBeMissing) { EXPECT_EQ(count(confusion({1, 0, 0, 1}, 2, {nullptr, "one"}), ">0<"), 2); }
TEST(Confusion, NothingCounted) { EXPECT_THAT(confusion({0}, 1), HasSubstr("0.00 % of 0 right")); }

TEST(Confusion, WhatCantBeDrawnIsRefused) {
  const int64_t counts[] = {1, -1, 0, 0};
  lamina_confusion matrix = {nullptr, nullptr, 2, counts};
  EXPECT_EQ(lamina_confusion_svg(&matrix, "never.svg", nullptr), LAMINA_INVALID);
  EXPECT_THAT(lamina_last_error(), HasSubstr("a count of -1"));
  matrix.classes = 5000;
  EXPECT_EQ(lamina_confusion_svg(&matrix, "never.svg", nullptr), LAMINA_INVALID);
  matrix.classes = 2, matrix.counts = nullptr;
  EXPECT_EQ(lamina_confusion_svg(&matrix, "never.svg", nullptr), LAMINA_INVALID);
}

} // namespace
