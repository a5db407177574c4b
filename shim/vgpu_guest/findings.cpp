#include "shim/vgpu_guest/findings.hpp"

namespace vgpu::guest {

std::string to_json(const std::vector<Finding>& findings) {
  JsonText json;
  json.begin().add("good", exit_code_of(findings) == base::kAllGood).begin_list("findings");
  for (const Finding& finding : findings) {
    json.begin().add("what", finding.what).add("outcome", base::word_of(finding.outcome)).add("text", finding.text);
    if (!finding.cause.empty()) json.add("cause", finding.cause);
    if (!finding.remedy.empty()) json.add("remedy", finding.remedy);
    json.end();
  }
  return json.end_list().end().text() + "\n";
}

}  // namespace vgpu::guest
