/// overweft-cni: the CNI plugin, a thin client of the node's daemon.
///
///     runtime ── environment, stdin ──► plugin ── POST /v1/cni ──► daemon: addresses, TAP, tables
///                                         │  ◄── Overweft-Delegate: ADD ──┘
///                                         └──► IPAM plugin of CNI_PATH, on the host and with the host's
///                                         environment
///
/// Its own are VERSION, what is wrong with the call itself, and what becomes of a call that finds no daemon.
/// It links statically, so that the one file runs on any host.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <exception>
#include <string>

#include "../unique_fd.h"
#include "daemon.h"
#include "delegate.h"
#include "json.h"
#include "report.h"
#include "request.h"

namespace overweft::cni {
namespace {

/// HTTP statuses: done; run the delegate and ask again with its outcome; failed, as the body says.
constexpr int kOk = 200;
constexpr int kAccepted = 202;
constexpr int kFailed = 422;

int fail(const std::string& output) {
  print(output);
  return 1;
}

int printVersions(const Request& request) {
  print("{\"cniVersion\":" + jsonQuoted(request.version) + ",\"supportedVersions\":" + kSupportedVersions +
        "}\n");
  return 0;
}

/// A name beside the socket by which the next daemon learns that the container is gone.
void leaveNote(const Request& request) {
  const std::string folder = request.socket.substr(0, request.socket.rfind('/')) + "/cni-deleted";
  // Where there is no run directory, no daemon has anything to forget.
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    if (errno == ENOENT) return;
    throw PluginError{Code::TryAgainLater, "no overweft daemon runs, and none can be told later",
                      errnoText(errno)};
  }
  const std::string note = folder + "/" + request.containerId + "@" + request.interfaceName;
  const UniqueFd fd(open(note.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw PluginError{Code::TryAgainLater, note + " cannot be written", errnoText(errno)};
}

int withoutDaemon(const Request& request, const NoDaemon& missing) {
  if (request.command == "STATUS") {
    throw PluginError{Code::LimitedConnectivity, "no overweft daemon runs on this node", missing.reason};
  }
  if (request.command != "DEL") {
    throw PluginError{Code::TryAgainLater, "no overweft daemon runs on this node", missing.reason};
  }
  // A pod must be able to end while its daemon is being replaced, or is gone for good.
  leaveNote(request);
  if (request.ipamType.empty()) return 0;
  const Outcome outcome = runDelegate(request, "DEL");
  return outcome.succeeded ? 0 : fail(outcome.output);
}

std::string delegateJson(const Outcome& outcome) {
  return std::string("{\"succeeded\":") + (outcome.succeeded ? "true" : "false") +
         ",\"output\":" + jsonQuoted(outcome.output) + "}";
}

int finish(const Answer& answer) {
  if (answer.status != kOk && answer.status != kFailed) {
    throw PluginError{Code::Internal, "the overweft daemon answers " + std::to_string(answer.status),
                      answer.body};
  }
  print(answer.body);
  return answer.status == kOk ? 0 : 1;
}

/// The first failure is the one to tell.
int finishUndone(const Request& request, const Answer& answer) {
  try {
    runDelegate(request, answer.delegate);
  } catch (const PluginError&) {
  }
  return finish(answer);
}

int throughDaemon(const Request& request) {
  Answer answer = askDaemon(request.socket, requestBody(request, ""));
  if (answer.status == kAccepted) {
    const Outcome outcome = runDelegate(request, answer.delegate);
    answer = askDaemon(request.socket, requestBody(request, delegateJson(outcome)));
  }
  if (answer.delegate.empty()) return finish(answer);
  if (answer.status != kOk) return finishUndone(request, answer);
  const Outcome outcome = runDelegate(request, answer.delegate);
  return outcome.succeeded ? finish(answer) : fail(outcome.output);
}

int run(Request& request) {
  readRequest(request);
  if (request.command == "VERSION") return printVersions(request);
  try {
    return throughDaemon(request);
  } catch (const NoDaemon& missing) {
    return withoutDaemon(request, missing);
  }
}

}  // namespace
}  // namespace overweft::cni

int main() {
  using namespace overweft::cni;
  Request request;
  try {
    return run(request);
  } catch (const PluginError& error) {
    return fail(errorJson(error, request.version));
  } catch (const std::exception& error) {
    return fail(errorJson({Code::Internal, error.what(), ""}, request.version));
  }
}
