namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>A folder that is gone with the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("assistant-queue-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
