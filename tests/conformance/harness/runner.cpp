// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/runner.hpp"

#include <poll.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "tests/conformance/harness/child_process.hpp"

namespace conformance {
namespace {

using Clock = std::chrono::steady_clock;
using Batch = std::deque<std::string>;

// A child that missed its deadline has so long to say where its threads stand.
constexpr std::chrono::seconds kLastWords{5};

std::deque<Batch> make_batches(const std::vector<const Case*>& cases, bool group) {
  std::deque<Batch> batches;
  std::map<std::string, Batch> groups;
  for (const Case* c : cases) {
    if (group && c->process == Process::shared) {
      groups[c->group()].push_back(c->name);
    } else {
      batches.push_back({c->name});
    }
  }
  // The long ones first, so that no job is left alone with them at the end.
  for (auto& [name, batch] : groups) batches.push_front(std::move(batch));
  return batches;
}

/// One child and the cases it still owes.
struct Running {
  ChildProcess process;
  Batch owed;
  Result current;  ///< begun and not final: the last result of a child waits for its exit
  bool begun = false;
  bool ended = false;
  bool late = false;  ///< it was asked where its threads stand
  Clock::time_point since = Clock::now();
};

class Run {
 public:
  Run(const RunOptions& options, const std::function<void(const Result&)>& on_result)
      : options_(options), on_result_(on_result) {}

  std::vector<Result> operator()(std::deque<Batch> waiting) {
    waiting_ = std::move(waiting);
    while (!waiting_.empty() || !running_.empty()) {
      while (!waiting_.empty() && running_.size() < options_.jobs) start_next();
      wait_for_news();
    }
    std::sort(results_.begin(), results_.end(), [](const Result& a, const Result& b) { return a.name < b.name; });
    return std::move(results_);
  }

 private:
  void start_next() {
    auto child = std::make_unique<Running>();
    child->owed = std::move(waiting_.front());
    waiting_.pop_front();
    if (!child->process.start(options_.libcuda, {child->owed.begin(), child->owed.end()})) {
      for (const auto& name : child->owed) finish({name, "fail", "cannot start a process for the case", {}, 0});
      return;
    }
    running_.push_back(std::move(child));
  }

  void wait_for_news() {
    std::vector<pollfd> polled;
    auto next = Clock::now() + std::chrono::seconds(1);
    for (const auto& child : running_) {
      polled.push_back({child->process.report_descriptor(), POLLIN, 0});
      next = std::min(next, deadline_of(*child));
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count() + 1;
    poll(polled.data(), polled.size(), static_cast<int>(std::max<long>(left, 0)));
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents != 0) hear(*running_[i]);
      if (!running_[i]->process.is_open()) {
        bury(*running_[i], running_[i]->late ? late_verdict() : std::string());
      } else if (Clock::now() > deadline_of(*running_[i])) {
        miss_deadline(*running_[i]);
      }
    }
    std::erase_if(running_, [](const auto& child) { return !child->process.is_open(); });
  }

  Clock::time_point deadline_of(const Running& child) const {
    return child.since + options_.deadline + (child.late ? kLastWords : kLastWords * 0);
  }

  std::string late_verdict() const {
    return "the deadline of " + std::to_string(options_.deadline.count()) + " s passed";
  }

  void miss_deadline(Running& child) {
    if (!child.late) {
      child.late = true;
      return child.process.ask_where_threads_stand();
    }
    child.process.kill();
    bury(child, late_verdict());
  }

  void hear(Running& child) {
    for (const auto& fields : child.process.read_reports()) {
      if (fields.size() == 2 && fields[0] == "begin") {
        if (child.ended) finish(child.current);
        child.current = {fields[1], "fail", "", "", 0};
        child.begun = true, child.ended = false, child.since = Clock::now();
        if (!child.owed.empty()) child.owed.pop_front();
      } else if (fields.size() == 4 && fields[0] == "end") {
        child.current.status = fields[2], child.current.detail = fields[3];
        child.current.seconds = std::chrono::duration<double>(Clock::now() - child.since).count();
        child.ended = true, child.since = Clock::now();
      }
    }
  }

  // The child is gone: settles its last case, and gives the cases it still owed to a fresh one.
  void bury(Running& child, const std::string& verdict) {
    std::string end = child.process.reap();
    if (!verdict.empty()) end = verdict;
    if (!child.begun && !child.owed.empty()) {
      child.current = {child.owed.front(), "fail", (end.empty() ? "the process ended" : end) + " before the case began",
                       "", 0};
      child.owed.pop_front();
    } else if (!child.ended) {
      child.current.detail = (end.empty() ? "the process ended" : end) + " in the case";
      child.current.seconds = std::chrono::duration<double>(Clock::now() - child.since).count();
    } else if (!end.empty()) {
      child.current.status = "fail";
      child.current.detail =
          end + " after the case" + (child.current.detail.empty() ? "" : "; ") + child.current.detail;
    }
    if (child.current.status == "fail") child.current.output = child.process.output();
    finish(child.current);
    if (!child.owed.empty()) waiting_.push_front(std::move(child.owed));
  }

  void finish(const Result& result) {
    results_.push_back(result);
    on_result_(result);
  }

  const RunOptions& options_;
  const std::function<void(const Result&)>& on_result_;
  std::deque<Batch> waiting_;
  std::vector<std::unique_ptr<Running>> running_;
  std::vector<Result> results_;
};

}  // namespace

std::vector<Result> run_cases(const std::vector<const Case*>& cases, const RunOptions& options,
                              const std::function<void(const Result&)>& on_result) {
  return Run(options, on_result)(make_batches(cases, options.group));
}

}  // namespace conformance
