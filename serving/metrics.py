"""The service's Prometheus metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

LATENCY_BUCKETS_S = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("fruits_requests", "Predictions requested, by status", ["status"], registry=self.registry)
        self.latency = Histogram(
            "fruits_request_seconds", "Time of a prediction", buckets=LATENCY_BUCKETS_S, registry=self.registry
        )
        self.verdicts = Counter("fruits_verdicts", "Predictions answered, by verdict", ["verdict"], registry=self.registry)
        self.contributions = Counter("fruits_contributions", "Photos kept for review", registry=self.registry)
        self.waiting = Gauge("fruits_waiting", "Photos that wait for a worker or are in one", registry=self.registry)
        self.worker_deaths = Counter("fruits_worker_deaths", "Workers that died or were ended", registry=self.registry)
        self.model = Info("fruits_model", "The models in use", registry=self.registry)
        self.refused_models = Counter("fruits_refused_models", "Current models that could not be used", registry=self.registry)
