"""The local Amazon ECS: accounts and regions, clusters, services, tasks, and the ways tasks die.

Where it differs from AWS:

* A task passes through its states in scaled time, and starts on the host with the fewest tasks: there is no
  capacity, no placement strategy or constraint, no circuit breaker, no task set, no blue/green deployment.
* Services are of the REPLICA kind. Health checks and load balancers are not run: health is what a cause
  makes it.
* Events are ``ECS Task State Change`` only; service events are in DescribeServices.
* Operations other than those of the ``api_*`` modules answer UnknownOperationException.
* A page's token does not expire by itself, only on demand.
* Texts of errors are AWS's where published reports show them. Ours are: a container name missing or unknown
  in ExecuteCommand, ``count`` and ``maxResults`` out of range.
"""
