namespace AssistantQueue.Emulators;

/// <summary>Keeps a second process (or a second instance in this one) out of a data folder; the system lets go of it when the process dies.</summary>
internal sealed class DataFolderLock : IDisposable
{
    private readonly FileStream _file;

    private DataFolderLock(FileStream file) => _file = file;

    /// <summary>Makes the folder if it is missing and takes it.</summary>
    /// <exception cref="IOException">Somebody else has it, or it can't be written to.</exception>
    public static DataFolderLock Take(string directory)
    {
        Directory.CreateDirectory(directory);
        var path = Path.Combine(directory, "redis.lock");
        try
        {
            return new DataFolderLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw new IOException(
                $"The folder '{directory}' is in use by another embedded Redis, which holds {path}. Two would destroy each other's data. " +
                "End the other one, or give this one a folder of its own (AssistantQueue:Emulators:DataDirectory).", e);
        }
    }

    public void Dispose() => _file.Dispose();
}
