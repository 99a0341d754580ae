"""Ray as a cluster to train on."""

from sknn_iitb.dask._cluster import SerialCluster, tree


class RayCluster:
    """Ray, with an actor for each group of partitions.

    Parameters
    ----------
    n_groups : int
    """

    def __init__(self, n_groups):
        import ray

        self.n_groups, self.ray, self.n_values = n_groups, ray, 0

    def scatter(self, partitions):
        """Pairs of an actor and the number of a value that it keeps."""
        keeper = self.ray.remote(_Keeper)
        return [(keeper.remote(group), 0) for group in SerialCluster(self.n_groups).scatter(partitions)]

    def place(self, build, handles, argument):
        """The actors keep what they build."""
        given = self.ray.put(argument)
        self.n_values += 1
        for number, (actor, key) in enumerate(handles):
            actor.build.remote(build, number, key, given, self.n_values)
        return [(actor, self.n_values) for actor, _ in handles]

    def map_reduce(self, function, handles, argument, combine):
        """Ray's object store broadcasts the argument, and tasks merge the results."""
        given, merge = self.ray.put(argument), self.ray.remote(_merge)
        found = [actor.call.remote(function, key, given) for actor, key in handles]
        return self.ray.get(tree(lambda few: merge.remote(combine, *few), found))


class _Keeper:
    def __init__(self, group):
        self.values = {0: group}

    def build(self, build, number, key, argument, new):
        self.values[new] = build(number, self.values[key], argument)

    def call(self, function, key, argument):
        return function(self.values[key], argument)


def _merge(combine, *results):
    return combine(list(results))
