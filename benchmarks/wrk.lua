-- Everything is on loopback, whatever the name in the URL (which stays what SNI and Host say).
wrk.resolve = function(host, service)
   wrk.addrs = wrk.lookup("127.0.0.1", service)
end

-- One line of JSON after wrk's own text. Latencies and the duration are microseconds.
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "duration": %d, "p50": %d, "p99": %d, "p999": %d, "max": %d, "failed": %d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      latency.max,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout
   ))
end
