#include "shim/vgpu_guest/self_test.hpp"

#include <cerrno>

#include "shim/vgpu_guest/daemon_report.hpp"
#include "shim/vgpu_guest/doctor.hpp"
#include "shim/vgpu_guest/legacy_page.hpp"

namespace vgpu::guest {
namespace {

constexpr const char* kLegacy = "legacy";

Finding test_legacy(const Options& options, bool& is_link_up) {
  auto page = open_legacy_page(options);
  if (!page && page.error().code == EACCES)
    return skipped(kLegacy, "the device's registers are root's: run this as root (sudo vgpu-guest self-test)");
  if (!page)
    return broken(kLegacy, "no device to ask", page.error().text, "vgpu-guest doctor looks at it link by link");
  is_link_up = page->is_link_up();
  return judge_legacy(test_legacy_page(page->registers()));
}

}  // namespace

Finding judge_legacy(const LegacyVerdict& verdict) {
  if (!verdict.is_pass()) return broken(kLegacy, verdict.text(), verdict.cause(), verdict.remedy());
  return {kLegacy, Finding::Outcome::good, verdict.text(), verdict.cause(), verdict.remedy()};
}

std::vector<Finding> self_test(const Options& options, const std::function<CudaCheck()>& cuda,
                               const std::function<void(const Finding&)>& on_finding) {
  std::vector<Finding> all;
  const auto add = [&](Finding finding) {
    on_finding(finding);
    all.push_back(std::move(finding));
  };
  bool is_link_up = false;
  add(test_legacy(options, is_link_up));
  // Without root the daemon's word on the link will do.
  if (const auto report = ask_daemon(options.socket); report) is_link_up |= report->word("link") == "up";
  if (!is_link_up) {
    add(broken("cuda", "not tried", "the device has no link to the broker, or vgpu-guestd does not run",
               "vgpu-guest doctor names what is missing"));
    return all;
  }
  for (Finding& finding : judge_cuda(cuda())) add(std::move(finding));
  return all;
}

}  // namespace vgpu::guest
