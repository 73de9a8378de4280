"""The local Amazon ECS: accounts and regions, clusters, services, tasks, and the ways tasks die."""
