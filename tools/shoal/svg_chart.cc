#include "tools/shoal/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/base/plain_text.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace shoal::tools {
namespace {

constexpr double kWidth = 760, kHeight = 420;                       // of a line chart, in pixels
constexpr double kLeft = 64, kRight = 20, kTop = 40, kBottom = 46;  // around what is drawn
constexpr size_t kMaxPoints = 2000;                                 // of a line; more could not be seen
constexpr size_t kMaxLabels = 400;
constexpr size_t kMaxLabel_bytes = 24;
constexpr const char* kColours[] = {"#1f5fa8", "#c2452d", "#3a8a4f", "#8a5bb5", "#b5871f", "#4f4f4f"};

// The text as XML.
std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(PlainLine(text),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Text(double x, double y, const char* anchor, absl::string_view text, double size = 12) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%.0f\">%s</text>\n", x,
                         y, anchor, size, Escaped(text));
}

std::string Document(double width, double height, absl::string_view title, const std::string& body) {
  return absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" font-family=\"sans-serif\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n%s%s</svg>\n",
      width, height, Text(width / 2, 24, "middle", title, 15), body);
}

// A range of values with steps of 1, 2 or 5 times a power of ten, at most 10 of them.
struct Axis {
  double low = 0, step = 1;
  int steps = 1;

  double Tick(int i) const { return low + i * step; }
  double Part(double value) const { return (value - low) / (steps * step); }
};

Axis AxisOf(double lowest, double highest) {
  constexpr double kSteps = 8;
  constexpr double kMinWidth = 1e-9, kMinRange = 1e-100;  // relative to the values, and absolute
  const double size = std::max(std::fabs(lowest), std::fabs(highest));
  // Values that differ in their last digits only are one value, and so are those that are almost 0.
  if (!(highest - lowest > std::max(kMinWidth * size, kMinRange))) {
    const double around = std::max(size * 0.1, 1e-6);
    lowest -= around;
    highest += around;
  }
  const double rough = (highest - lowest) / kSteps, power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough) step = factor * power;
  }
  const double first = std::floor(lowest / step), last = std::ceil(highest / step);
  return {first * step, step, static_cast<int>(last - first)};
}

// Far below the largest double, so that sums and differences of them are finite, too.
constexpr double kMaxValue = 1e100;

bool IsFinite(const ChartPoint& point) {
  return std::fabs(point.x) < kMaxValue && std::fabs(point.y) < kMaxValue;
}

// The finite points, without those that could not be seen.
std::vector<ChartPoint> Shown(const ChartLine& line) {
  std::vector<ChartPoint> finite;
  std::copy_if(line.points.begin(), line.points.end(), std::back_inserter(finite), IsFinite);
  const size_t stride = finite.size() / kMaxPoints + 1;
  std::vector<ChartPoint> shown;
  for (size_t i = 0; i < finite.size(); i += stride) shown.push_back(finite[i]);
  if (!finite.empty() && (finite.size() - 1) % stride != 0) shown.push_back(finite.back());
  return shown;
}

double PlaceX(const Axis& axis, double x) { return kLeft + axis.Part(x) * (kWidth - kLeft - kRight); }
double PlaceY(const Axis& axis, double y) {
  return kHeight - kBottom - axis.Part(y) * (kHeight - kTop - kBottom);
}

std::string Grid(const Axis& x, const Axis& y, absl::string_view x_name) {
  constexpr double kSlack = 1e-9;
  std::string body;
  const auto line = [&](double x1, double y1, double x2, double y2) {
    absl::StrAppendFormat(&body, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
                          x1, y1, x2, y2);
  };
  for (int i = 0; i <= x.steps; ++i) {
    const double at = PlaceX(x, x.Tick(i));
    line(at, kTop, at, kHeight - kBottom);
    body += Text(at, kHeight - kBottom + 16, "middle", absl::StrFormat("%g", x.Tick(i)));
  }
  for (int i = 0; i <= y.steps; ++i) {
    const double value = y.Tick(i), at = PlaceY(y, value);
    line(kLeft, at, kWidth - kRight, at);
    body += Text(kLeft - 6, at + 4, "end",
                 absl::StrFormat("%.4g", std::fabs(value) < kSlack * y.step ? 0 : value));
  }
  return body + Text((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", x_name);
}

std::string LineBody(const std::vector<ChartPoint>& points, const Axis& x, const Axis& y,
                     const char* colour) {
  constexpr size_t kDotted = 60;  // a line of more points shows none of them
  std::string body, path;
  for (const ChartPoint& point : points) {
    absl::StrAppendFormat(&path, "%.1f,%.1f ", PlaceX(x, point.x), PlaceY(y, point.y));
    if (points.size() > kDotted) continue;
    absl::StrAppendFormat(&body, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                          PlaceX(x, point.x), PlaceY(y, point.y), colour);
  }
  return absl::StrFormat("<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>\n%s",
                         path, colour, body);
}

}  // namespace

std::string LineChart(absl::string_view title, absl::string_view x_name, absl::Span<const ChartLine> lines) {
  lines = lines.first(std::min(lines.size(), std::size(kColours)));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ChartPoint least = {kInfinity, kInfinity}, most = {-kInfinity, -kInfinity};
  std::vector<std::vector<ChartPoint>> shown;
  for (const ChartLine& line : lines) {
    shown.push_back(Shown(line));
    for (const ChartPoint& point : shown.back()) {
      least = {std::min(least.x, point.x), std::min(least.y, point.y)};
      most = {std::max(most.x, point.x), std::max(most.y, point.y)};
    }
  }
  if (least.x == kInfinity) return "";
  const Axis x = AxisOf(least.x, most.x), y = AxisOf(least.y, most.y);
  std::string body = Grid(x, y, x_name);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (shown[i].empty()) continue;
    body += LineBody(shown[i], x, y, kColours[i]);
    const double at = kTop + 14 + 18 * static_cast<double>(i);
    absl::StrAppendFormat(&body, "<rect x=\"%.0f\" y=\"%.0f\" width=\"14\" height=\"4\" fill=\"%s\"/>\n",
                          kWidth - kRight - 24, at - 6, kColours[i]);
    body += Text(kWidth - kRight - 30, at, "end", lines[i].name);
  }
  return Document(kWidth, kHeight, title, body);
}

std::string ConfusionChart(absl::string_view title, absl::Span<const std::string> labels,
                           absl::Span<const uint64_t> counts) {
  const size_t size = labels.size();
  SHOAL_CHECK(counts.size() == size * size);
  if (size == 0 || size > kMaxLabels) return "";
  constexpr double kAll = 720, kMaxCell = 64, kReadable = 9, kForNumbers = 22;
  const double cell = std::max(2.0, std::min(kMaxCell, kAll / static_cast<double>(size)));
  const bool named = cell >= kReadable;
  const double left = named ? 160 : 40, top = 60, font = std::min(12.0, cell);
  std::string body = Text(left, 46, "start", "rows: the right label; columns: the predicted one");
  for (size_t row = 0; row < size; ++row) {
    const auto of_row = counts.subspan(row * size, size);
    uint64_t sum = 0;
    for (uint64_t count : of_row) sum += count;
    const double y = top + static_cast<double>(row) * cell;
    if (named)
      body += Text(left - 6, y + cell / 2 + font / 3, "end", CutUtf8(labels[row], kMaxLabel_bytes), font);
    for (size_t column = 0; column < size; ++column) {
      if (of_row[column] == 0) continue;
      const double part = static_cast<double>(of_row[column]) / static_cast<double>(sum);
      const double x = left + static_cast<double>(column) * cell;
      absl::StrAppendFormat(&body,
                            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                            "fill-opacity=\"%.3f\"><title>%s "
                            "as %s: %d of %d</title></rect>\n",
                            x, y, cell, cell, row == column ? kColours[0] : kColours[1], 0.15 + 0.85 * part,
                            Escaped(labels[row]), Escaped(labels[column]), of_row[column], sum);
      if (cell >= kForNumbers)
        body += Text(x + cell / 2, y + cell / 2 + 4, "middle", absl::StrCat(of_row[column]), font);
    }
  }
  const double side = cell * static_cast<double>(size);
  absl::StrAppendFormat(
      &body, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" stroke=\"#888\"/>\n",
      left, top, side, side);
  for (size_t column = 0; named && column < size; ++column) {
    const double x = left + (static_cast<double>(column) + 0.5) * cell, y = top + side + 10;
    absl::StrAppendFormat(&body, "<g transform=\"translate(%.1f,%.1f) rotate(50)\">%s</g>\n", x, y,
                          Text(0, 0, "start", CutUtf8(labels[column], kMaxLabel_bytes), font));
  }
  return Document(left + side + 120, top + side + (named ? 150 : 30), title, body);
}

}  // namespace shoal::tools
