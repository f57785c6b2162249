import Foundation

/// Lets this process open as many files as the system allows.
///
/// The usual soft limit of 1024 is for programs that wait by `select`; data sets of more files than that are common.
public func raiseOpenFileLimit() {
  var limit = rlimit()
  guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  limit.rlim_cur = limit.rlim_max
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
