"""The local message gateway and agent of ECS Exec, and the local Run Command.

Where they differ from AWS:

* A container is a folder and an environment on this machine: it has this machine's programs (less those its
  image lacks), its processes run as the local cloud's user, and its file system and network are not its own.
* The agent has no websocket and no control channel of its own: it sits behind the relay in the same process,
  so that only the client's side can be cut off, and AWS's own agent cannot be connected.
* What nobody outside AWS can know is assumed: a token opens one connection; the client is told of the end
  when the agent's task is complete, after everything that was on its way; a session that is idle for too
  long is ended with its command.
* The agent's fixed waits are scaled; its time limits for the handshake and for the last acknowledgements are
  as long as the real ones.
* On systems other than Linux the terminal may not become the controlling one (Ctrl-C does nothing), and
  processes that left their session outlive their container.
* Run Command knows AWS-RunShellScript, instance ids, and a ``docker`` that can only ``exec``; it writes no
  output to S3 or CloudWatch Logs.
"""
